"""The OpenAPI document: what FastAPI derives, and the refusals it cannot know of."""

from collections.abc import Iterator, Mapping
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import iter_route_contexts

from libs.runtime.auth import Authenticator
from libs.runtime.problems import MEDIA_TYPE, Declared, declared_by

Json = dict[str, Any]

PROBLEM: Json = {
    "type": "object",
    "description": "RFC 9457. `type` is stable; `field` or `errors` say which input is meant.",
    "required": ["type", "title", "status", "detail"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": {"type": "string"},
        "status": {"type": "integer"},
        "detail": {"type": "string"},
        "field": {"type": "string"},
        "errors": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["field", "message"],
                "properties": {"field": {"type": "string"}, "message": {"type": "string"}},
            },
        },
    },
}
HEADERS: Mapping[int, str] = {401: "WWW-Authenticate", 503: "Retry-After"}
WITH_INPUT, WITH_PATH, WRITING, WITH_BODY = (422,), (404,), (404, 409), (400, 408, 413, 415)
ALWAYS = (503,)
FASTAPIS_OWN = ("HTTPValidationError", "ValidationError")


def install(app: FastAPI) -> None:
    """Serve the completed document; `/docs` shows it too."""
    derive, made = app.openapi, list[Json]()

    def document() -> Json:
        if not made:
            made.append(_completed(derive(), app))
        return made[0]

    app.openapi = document  # type: ignore[method-assign]


def _completed(document: Json, app: FastAPI) -> Json:
    authenticator: Authenticator = app.state.authenticator
    used: set[int] = set()
    for path, method, dependant in _operations(app):
        operation = document["paths"][path][method]
        declared = list(_declarations(dependant))
        statuses = _statuses(path, method, operation, declared)
        own = {status: each for status, each in operation["responses"].items() if status != "422"}
        refusals = {str(status): _reference(status) for status in sorted(statuses)}
        operation["responses"] = {**refusals, **own}
        _complete_parameters(operation, {each.without for each in declared})
        if any(each.for_callers for each in declared) and authenticator.schemes:
            operation["security"] = [{name: []} for name in authenticator.schemes]
        used |= statuses
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in FASTAPIS_OWN:
        schemas.pop(name, None)
    schemas["Problem"] = PROBLEM
    components["responses"] = {str(status): _response(status) for status in sorted(used)}
    components["securitySchemes"] = dict(authenticator.schemes)
    return document


def _operations(app: FastAPI) -> Iterator[tuple[str, str, Dependant]]:
    for route in iter_route_contexts(app.routes):
        dependant = getattr(route, "dependant", None)
        if dependant is not None and route.include_in_schema and route.path_format:
            for method in route.methods or ():
                yield route.path_format, method.lower(), dependant


def _declarations(dependant: Dependant) -> Iterator[Declared]:
    """Of the endpoint and of everything it depends on."""
    declared = declared_by(dependant.call)
    if declared is not None:
        yield declared
    for each in dependant.dependencies:
        yield from _declarations(each)


def _statuses(path: str, method: str, operation: Json, declared: list[Declared]) -> set[int]:
    statuses = {status for each in declared for status in each.statuses} | set(ALWAYS)
    if "{" in path:
        statuses.update(WITH_PATH)
    if method != "get":
        statuses.update(WRITING)
    if "requestBody" in operation:
        statuses.update(WITH_BODY)
    if "requestBody" in operation or operation.get("parameters"):
        statuses.update(WITH_INPUT)
    return statuses


def _complete_parameters(operation: Json, needed: set[str | None]) -> None:
    """None is the absence of a parameter, not a value of it; what is needed is required."""
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        values = [each for each in schema.pop("anyOf", ()) if each.get("type") != "null"]
        if values:
            parameter["schema"] = {**values[0], **schema}
        if parameter["name"] in needed:
            parameter["required"] = True


def _reference(status: int) -> Json:
    return {"$ref": f"#/components/responses/{status}"}


def _response(status: int) -> Json:
    answer: Json = {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}},
    }
    if status in HEADERS:
        answer["headers"] = {HEADERS[status]: {"schema": {"type": "string"}, "required": True}}
    return answer
