"""Every error a request can end in, turned into a problem, in one place."""

from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import Response

from libs.kernel.errors import DomainError
from libs.messaging.inbox.failures import (
    RAW_DATABASE_ERRORS,
    is_infrastructure_error,
    sqlstate,
    summarize,
)
from libs.messaging.outbox.outbox import MessageTooLarge
from libs.runtime.problems import Refusal, Unavailable, of_domain_error, of_refusal, problem
from libs.runtime.routes import fitting

log = structlog.get_logger(__name__)

MAX_ERRORS = 20
MAX_NAME = 100
BAD_DATA = "22"
"""SQLSTATE class: text or a number that Postgres cannot hold."""
REFUSED = ("28", "3D")
"""SQLSTATE classes of a user or a database the server does not take."""

DATABASE_TROUBLE = (DBAPIError, *RAW_DATABASE_ERRORS, PoolTimeout, OSError)
"""What `database_failed` is asked about: an OSError may also be the endpoint's own, for example of
a file that is missing."""

CODES = {400: "malformed-request", 404: "no-such-path", 405: "method-not-allowed"}


def install(app: FastAPI) -> None:
    """Register the handlers below on `app`."""
    app.exception_handler(Refusal)(_refusal)
    app.exception_handler(DomainError)(_domain_error)
    app.exception_handler(RequestValidationError)(_validation_error)
    app.exception_handler(HTTPException)(_http_exception)
    app.exception_handler(MessageTooLarge)(_message_too_large)
    for possible in DATABASE_TROUBLE:
        app.exception_handler(possible)(_database_error)


async def _refusal(_: Request, error: Refusal) -> Response:
    return of_refusal(error)


async def _domain_error(_: Request, error: DomainError) -> Response:
    return of_domain_error(error)


async def _message_too_large(_: Request, __: MessageTooLarge) -> Response:
    return problem(422, "message-too-large", "the request leads to an event that is too large")


async def _http_exception(request: Request, error: HTTPException) -> Response:
    if error.status_code == 405:
        return method_not_allowed(request)
    code = CODES.get(error.status_code, "http-error")
    return problem(error.status_code, code, str(error.detail), headers=error.headers)


def method_not_allowed(request: Request) -> Response:
    """405 with the methods of every route of this path: Starlette names the first one's only."""
    allowed = ", ".join(sorted(methods_of(request)))
    code = CODES[405]
    return problem(405, code, "the path does not know this method", headers={"Allow": allowed})


def methods_of(request: Request) -> set[str]:
    """What the first path that fits knows, as in the document: `/a/b` before `/a/{name}`."""
    found = fitting(request.app, request.url.path)
    return {
        method for route in found if route.path == found[0].path for method in route.methods or ()
    }


async def _validation_error(_: Request, error: RequestValidationError) -> Response:
    found = error.errors()
    if found and found[0]["type"] == "json_invalid":
        return problem(400, "malformed-json", "the body is not JSON", field="body")
    return problem(
        422,
        "invalid-input",
        "some of the input is not acceptable",
        errors=[
            {"field": _field(detail["loc"]), "message": _message(detail)}
            for detail in found[:MAX_ERRORS]
        ],
    )


def _field(location: tuple[Any, ...]) -> str:
    """`totalCents`, `lines.0.price`, `X-Count`; `body` for the body as a whole."""
    if location[0] == "header":
        return str(location[-1]).title()
    return ".".join(str(part) for part in location[1:] or location)[:MAX_NAME]


def _message(detail: dict[str, Any]) -> str:
    """What is wrong, without the value that is wrong: it may be personal."""
    message = str(detail["msg"]).removeprefix("Value error, ")
    return message.partition(",")[0] if detail["type"] == "uuid_parsing" else message


def database_failed(error: BaseException) -> bool:
    """Whether the database is away, or lets nobody in: the request may succeed later."""
    return is_infrastructure_error(error) or (sqlstate(error) or "").startswith(REFUSED)


async def _database_error(_: Request, error: Exception) -> Response:
    """503 where the database failed; 500 where something else did."""
    if (sqlstate(error) or "").startswith(BAD_DATA):
        return problem(422, "invalid-input", "the input holds a value that cannot be stored")
    if not database_failed(error):
        raise error
    log.warning("database unavailable", error=summarize(error))
    return of_refusal(Unavailable("the database is not available just now"))
