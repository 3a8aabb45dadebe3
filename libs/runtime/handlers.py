"""Here, and nowhere else, every error of a request becomes a problem."""

from collections.abc import Mapping

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from starlette.exceptions import HTTPException
from starlette.responses import Response

from libs.kernel.errors import CodedError
from libs.messaging.inbox.failures import (
    RAW_DATABASE_ERRORS,
    is_infrastructure_error,
    sqlstate,
    summarize,
)
from libs.messaging.outbox.outbox import MessageTooLarge
from libs.runtime.field_errors import INVALID_JSON, described
from libs.runtime.problems import (
    DatabaseUnavailable,
    InvalidInput,
    MalformedJson,
    MalformedRequest,
    MessageTooLargeToSend,
    MethodNotAllowed,
    NoSuchPath,
    OtherHttpError,
    Refusal,
    problem,
)
from libs.runtime.routes import fitting

log = structlog.get_logger(__name__)

BAD_DATA = "22"
"""This SQLSTATE class means text or a number that Postgres cannot hold."""
REFUSED = ("28", "3D")
"""These SQLSTATE classes mean a user or a database that the server refuses."""

DATABASE_TROUBLE = (DBAPIError, *RAW_DATABASE_ERRORS, PoolTimeout, OSError)
"""`database_failed` decides about these errors: an OSError may also be the endpoint's own, for
example for a missing file.
"""

OF_STARLETTE: Mapping[int, type[Refusal]] = {400: MalformedRequest, 404: NoSuchPath}


def install(app: FastAPI) -> None:
    """Register the handlers below on `app`."""
    app.exception_handler(CodedError)(_coded_error)
    app.exception_handler(RequestValidationError)(_validation_error)
    app.exception_handler(HTTPException)(_http_exception)
    app.exception_handler(MessageTooLarge)(_message_too_large)
    for possible in DATABASE_TROUBLE:
        app.exception_handler(possible)(_database_error)


async def _coded_error(_: Request, error: CodedError) -> Response:
    return problem(error)


async def _message_too_large(_: Request, __: MessageTooLarge) -> Response:
    return problem(MessageTooLargeToSend())


async def _http_exception(request: Request, error: HTTPException) -> Response:
    if error.status_code == 405:
        return method_not_allowed(request)
    refusal = OF_STARLETTE.get(error.status_code, OtherHttpError)(str(error.detail))
    return problem(refusal, status=error.status_code, headers=error.headers)


def method_not_allowed(request: Request) -> Response:
    """Answer 405 with the methods of every route of the path: Starlette names only the first's."""
    allowed = ", ".join(sorted(methods_of(request)))
    return problem(MethodNotAllowed(), headers={"Allow": allowed})


def methods_of(request: Request) -> set[str]:
    """Return the methods of the first path that fits: `/a/b` is before `/a/{name}`."""
    found = fitting(request.app, request.url.path)
    return {
        method for route in found if route.path == found[0].path for method in route.methods or ()
    }


async def _validation_error(_: Request, error: RequestValidationError) -> Response:
    found = error.errors()
    if found and found[0]["type"] == INVALID_JSON:
        return problem(MalformedJson())
    return problem(InvalidInput(), errors=described(list(found)))


def database_failed(error: BaseException) -> bool:
    """Return whether the database is away, or refuses all: the request may succeed later."""
    return is_infrastructure_error(error) or (sqlstate(error) or "").startswith(REFUSED)


async def _database_error(_: Request, error: Exception) -> Response:
    """Answer 503 where the database failed, and 500 where something else did."""
    if (sqlstate(error) or "").startswith(BAD_DATA):
        return problem(InvalidInput("The input holds a value that cannot be stored."))
    if not database_failed(error):
        raise error
    log.warning("database unavailable", error=summarize(error))
    return problem(DatabaseUnavailable())
