"""Query parameters that an endpoint does not know are refused. If a mistyped filter or order were
ignored, the answer would not be what was asked for.

Pages accept unknown parameters: links from other sites add their own.
"""

from collections.abc import Iterable, Iterator
from inspect import isclass

from fastapi import Request
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute
from pydantic import BaseModel

from libs.runtime.declared import refuses
from libs.runtime.problems import BadRequest

MAX_NAME = 100
MOST_NAMED = 20


class UnknownParameter(BadRequest):
    code = "unknown-parameter"
    text = "There is no parameter {name} here: there are {known}."


class RepeatedParameter(BadRequest):
    code = "repeated-parameter"
    text = "The parameter {name} comes twice."


@refuses(400)
async def known_parameters(request: Request) -> None:
    """Raise BadRequest for parameters that are not in the endpoint's document, or come a second
    time: none is a list, and one of two would be ignored.
    """
    route = request.scope.get("route")
    if not request.scope["query_string"] or not isinstance(route, APIRoute):
        return
    if not route.include_in_schema:
        return
    known = set(_names(route.dependant))
    sent = [name for name, _ in request.query_params.multi_items()]
    if unknown := _shown(name for name in sent if name not in known):
        there_are = ", ".join(sorted(known)) or "none"
        raise UnknownParameter(field=unknown[0], name=", ".join(unknown), known=there_are)
    if twice := _shown(name for name in sent if sent.count(name) > 1):
        raise RepeatedParameter(field=twice[0], name=", ".join(twice))


def _shown(names: Iterable[str]) -> list[str]:
    """Return each name once, and only the first of very many."""
    return [name[:MAX_NAME] for name in dict.fromkeys(names)][:MOST_NAMED]


def _names(dependant: Dependant) -> Iterator[str]:
    """Yield the query parameters of the endpoint and of everything it depends on."""
    for parameter in dependant.query_params:
        model = parameter.field_info.annotation
        if isclass(model) and issubclass(model, BaseModel):
            yield from (info.alias or name for name, info in model.model_fields.items())
        else:
            yield parameter.alias
    for each in dependant.dependencies:
        yield from _names(each)
