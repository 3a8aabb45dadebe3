"""The OpenAPI document is what FastAPI derives, completed with refusals and their codes, headers of
answers, and who may call.
"""

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.dependencies.models import Dependant
from fastapi.routing import APIRoute

from libs.kernel.errors import CodedError
from libs.runtime.auth import Authenticator
from libs.runtime.declared import CALLERS, ETAG, LINK, LOCATION, REPLAYED, Declared, declared_by
from libs.runtime.problems import MEDIA_TYPE, status_of, title_of

Json = dict[str, Any]

TEXT: Json = {"type": "string"}
PROBLEM: Json = {
    "type": "object",
    "description": (
        "RFC 9457. `code` is stable, and `type` ends in it; `params` belong to its sentence."
        " `field` or `errors` say which input is meant."
    ),
    "required": ["type", "title", "status", "detail", "code"],
    "properties": {
        "type": {"type": "string", "format": "uri"},
        "title": TEXT,
        "status": {"type": "integer"},
        "detail": TEXT,
        "code": TEXT,
        "params": {"$ref": "#/components/schemas/Params"},
        "field": TEXT,
        "errors": {"type": "array", "items": {"$ref": "#/components/schemas/Fault"}},
    },
}
FAULT: Json = {
    "type": "object",
    "description": "What is wrong with one field.",
    "required": ["field", "code", "message"],
    "properties": {
        "field": TEXT,
        "code": TEXT,
        "message": TEXT,
        "params": {"$ref": "#/components/schemas/Params"},
    },
}
PARAMS: Json = {
    "type": "object",
    "description": "By name. A parameter whose name ends in `_cents` is money.",
    "additionalProperties": True,
}
SCHEMAS: Mapping[str, Json] = {"Problem": PROBLEM, "Fault": FAULT, "Params": PARAMS}

ANSWERED: Mapping[str, Json] = {
    ETAG: {
        "description": "The version, for If-Match and If-None-Match.",
        "required": True,
        "schema": TEXT,
    },
    LOCATION: {
        "description": "Where it can be read.",
        "required": True,
        "schema": {"type": "string", "format": "uri-reference"},
    },
    LINK: {
        "description": "The next page, with rel=next; none on the last one.",
        "schema": TEXT,
    },
    REPLAYED: {
        "description": "`true`: the first answer to this Idempotency-Key again.",
        "schema": {"type": "string", "enum": ["true"]},
    },
}
IF_NONE_MATCH: Json = {
    "name": "If-None-Match",
    "in": "header",
    "description": "An ETag that is known: where it still is the current one the answer is 304.",
    "schema": TEXT,
}
NOT_MODIFIED: Json = {
    "description": "What If-None-Match names is the current version.",
    "headers": {ETAG: ANSWERED[ETAG]},
}
RETRY_AFTER: Json = {"description": "In seconds.", "schema": {"type": "integer"}}
REFUSED: Mapping[int, Mapping[str, Json]] = {
    401: {"WWW-Authenticate": {"required": True, "schema": TEXT}},
    409: {"Retry-After": RETRY_AFTER},
    429: {"Retry-After": {"required": True, **RETRY_AFTER}},
    503: {"Retry-After": {"required": True, **RETRY_AFTER}},
}
WITH_INPUT, WITH_PATH, WRITING, WITH_BODY = (422,), (404,), (404, 409), (400, 408, 413, 415)
ALWAYS = (503,)
FASTAPIS_OWN = ("HTTPValidationError", "ValidationError")
STREAM = "text/event-stream"


def install(app: FastAPI, package: str) -> None:
    """Serve the completed document; `/docs` shows it too. `package` is where the service's own
    refusals are.
    """
    derive, made = app.openapi, list[Json]()

    def document() -> Json:
        if not made:
            made.append(
                _completed(derive(), app, _codes(package, app.state.settings.problem_prefix))
            )
        return made[0]

    app.openapi = document  # type: ignore[method-assign]


def _completed(document: Json, app: FastAPI, codes: Mapping[int, Json]) -> Json:
    authenticator: Authenticator = app.state.authenticator
    used: set[int] = set()
    tags: set[str] = set()
    for path, method, dependant in _operations(app):
        operation = document["paths"][path][method]
        declared = list(_declarations(dependant))
        statuses = _statuses(path, method, operation, declared)
        own = {status: each for status, each in operation["responses"].items() if status != "422"}
        refusals = {str(status): _reference(status) for status in sorted(statuses)}
        operation["responses"] = {**refusals, **own}
        if method == "get" and any(ETAG in each.headers for each in declared):
            operation.setdefault("parameters", []).append(dict(IF_NONE_MATCH))
            operation["responses"]["304"] = NOT_MODIFIED
        operation["summary"] = operation["operationId"].replace("_", " ").capitalize()
        operation["security"] = _security(declared, authenticator)
        _complete_parameters(operation, {each.without for each in declared})
        _complete_answers(own, declared)
        tags.update(operation.get("tags", ()))
        used |= statuses
    document["servers"] = [{"url": "/", "description": "Where this document was read."}]
    known = {each["name"]: each for each in document.get("tags", ())}
    document["tags"] = [known.get(name, {"name": name}) for name in sorted(tags)]
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in FASTAPIS_OWN:
        schemas.pop(name, None)
    schemas.update(SCHEMAS)
    components["responses"] = {
        str(status): _response(status, codes.get(status, {})) for status in sorted(used)
    }
    if authenticator.schemes:
        components["securitySchemes"] = dict(authenticator.schemes)
    return document


def _operations(app: FastAPI) -> Iterator[tuple[str, str, Dependant]]:
    for route in app.routes:
        if isinstance(route, APIRoute) and route.include_in_schema:
            for method in route.methods or ():
                yield route.path_format, method.lower(), route.dependant


def _declarations(dependant: Dependant) -> Iterator[Declared]:
    """Yield what the endpoint and everything it depends on declare."""
    yield from declared_by(dependant.call)
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


def _security(declared: Sequence[Declared], authenticator: Authenticator) -> list[Json]:
    """Return the security of an endpoint: any one scheme is enough. There is none where the service
    does not check who is calling.
    """
    needed = {name for each in declared for name in each.schemes}
    if CALLERS in needed:
        return [{name: list[str]()} for name in authenticator.for_callers]
    return [{name: list[str]() for name in sorted(needed)}] if needed else []


def _complete_parameters(operation: Json, needed: set[str | None]) -> None:
    """Remove `null` from optional parameters, which are left out and never null, and mark the
    needed ones as required. Headers are spelt as people write them.
    """
    for parameter in operation.get("parameters", ()):
        schema = parameter["schema"]
        values = [each for each in schema.pop("anyOf", ()) if each.get("type") != "null"]
        if values:
            parameter["schema"] = {**values[0], **schema}
        if parameter["name"] in needed:
            parameter["required"] = True
        if parameter["in"] == "header":
            parameter["name"] = parameter["name"].title()


def _complete_answers(own: Json, declared: list[Declared]) -> None:
    for status, answer in own.items():
        for content in answer.get("content", {}).values():
            if "itemSchema" in content:  # OpenAPI 3.2 knows it, 3.1 does not
                content.pop("itemSchema")
                content["schema"] = TEXT
        headers = {
            name: ANSWERED[name]
            for each in declared
            for name in each.headers
            if status.startswith("2") and each.status in (None, int(status))
        }
        if headers:
            answer["headers"] = headers


def _codes(package: str, prefix: str) -> Mapping[int, Json]:
    """Return an example of every refusal of the libraries and of `package`, by status and code."""
    found: dict[int, Json] = {}
    waiting = list(CodedError.__subclasses__())
    while waiting:
        kind = waiting.pop()
        waiting += kind.__subclasses__()
        if kind.__module__.startswith(("libs.", f"{package}.")) and hasattr(kind, "code"):
            status = status_of(kind)
            example = {"code": kind.code, "title": title_of(kind.code), "status": status}
            value = {"type": prefix + kind.code, **example, "detail": kind.text}
            found.setdefault(status, {})[kind.code] = {"summary": example["title"], "value": value}
    return found


def _reference(status: int) -> Json:
    return {"$ref": f"#/components/responses/{status}"}


def _response(status: int, examples: Json) -> Json:
    content: Json = {"schema": {"$ref": "#/components/schemas/Problem"}}
    if examples:
        content["examples"] = dict(sorted(examples.items()))
    answer: Json = {
        "description": HTTPStatus(status).phrase,
        "content": {MEDIA_TYPE: content},
    }
    if status in REFUSED:
        answer["headers"] = dict(REFUSED[status])
    return answer
