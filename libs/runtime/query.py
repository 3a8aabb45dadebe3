"""Query parameters that an endpoint does not know are refused: with a mistyped filter or order left
out, something else than was asked for would be answered.

Pages are no part of this: links from elsewhere bring parameters of their own along.
"""

from collections.abc import Iterator
from inspect import isclass

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from libs.runtime.problems import BadRequest, refuses

CODE = "unknown-parameter"
REPEATED = "repeated-parameter"
MAX_NAME = 100


@refuses(400)
async def known_parameters(request: Request) -> None:
    """Raises BadRequest for the first parameter that is not in the endpoint's document, or comes a
    second time: none is a list, and one of two would be left out.
    """
    route = request.scope.get("route")
    if not request.scope["query_string"] or not isinstance(route, APIRoute):
        return
    if not route.include_in_schema:
        return
    known, met = sorted(set(_names(route.dependant))), set[str]()
    for name, _ in request.query_params.multi_items():
        shown = name[:MAX_NAME]
        if name not in known:
            there_are = f"there are {', '.join(known)}" if known else "there are none"
            raise BadRequest(
                f"there is no parameter {shown!r} here: {there_are}", field=shown, code=CODE
            )
        if name in met:
            raise BadRequest(f"the parameter {shown!r} comes twice", field=shown, code=REPEATED)
        met.add(name)


def _names(dependant: Dependant) -> Iterator[str]:
    """Of the endpoint's query parameters and of everything it depends on."""
    for parameter in dependant.query_params:
        model = parameter.field_info.annotation
        if isclass(model) and issubclass(model, BaseModel):
            yield from (info.alias or name for name, info in model.model_fields.items())
        else:
            yield parameter.alias
    for each in dependant.dependencies:
        yield from _names(each)
