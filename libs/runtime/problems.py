"""A refusal is an RFC 9457 problem+json. Its `type` is a stable URN; no internals are shown."""

from collections.abc import Mapping
from typing import Any, ClassVar

from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from libs.kernel.errors import (
    CodedError,
    Conflict,
    DomainError,
    Forbidden,
    Invalid,
    NotFound,
    StaleVersion,
    TooMany,
    Unidentified,
)

MEDIA_TYPE = "application/problem+json"

STATUS_OF: Mapping[type[DomainError], int] = {
    NotFound: 404,
    Invalid: 422,
    Conflict: 409,
    StaleVersion: 412,
    Forbidden: 403,
    Unidentified: 401,
    TooMany: 429,
}
OTHERWISE = 422
"""A domain's refusal that is of none of these kinds has this status."""


class Refusal(CodedError):
    """A refusal of the HTTP layer itself is one of the classes below, or of those next to what
    refuses.
    """

    status: ClassVar[int]

    def __init__(
        self,
        detail: str | None = None,
        *,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
        **params: str | int,
    ) -> None:
        super().__init__(detail, field=field, **params)
        self.headers = headers


class BadRequest(Refusal):
    """400: `field` names the header or parameter that is missing or malformed."""

    status = 400
    code = "bad-request"
    text = "A header or a parameter is missing or malformed."


class HeaderRequired(BadRequest):
    text = "The header {header} is required."

    def __init__(self, header: str) -> None:
        super().__init__(field=header, header=header)


class MalformedJson(Refusal):
    status = 400
    code = "malformed-json"
    text = "The body is not JSON."

    def __init__(self) -> None:
        super().__init__(field="body")


class MalformedRequest(Refusal):
    status = 400
    code = "malformed-request"
    text = "The request cannot be read."


class NoSuchPath(Refusal):
    status = 404
    code = "no-such-path"
    text = "There is nothing at this address."


class MethodNotAllowed(Refusal):
    status = 405
    code = "method-not-allowed"
    text = "The address does not know this method."


class OtherHttpError(Refusal):
    """A refusal by the framework that has no class here. Its status is the framework's."""

    status = 400
    code = "http-error"
    text = "The request is refused."


class InvalidInput(Refusal):
    """422: `errors` of the answer say which fields are wrong, and how."""

    status = 422
    code = "invalid-input"
    text = "Some of the input is not acceptable."


class MessageTooLargeToSend(Refusal):
    status = 422
    code = "message-too-large"
    text = "The request leads to an event that is too large."


class Internal(Refusal):
    status = 500
    code = "internal"
    text = "Something went wrong on our side."


class Unavailable(Refusal):
    """503 with Retry-After: the same request may succeed in `retry_after` seconds."""

    status = 503
    code = "unavailable"
    text = "It cannot be done just now."

    def __init__(self, detail: str | None = None, *, retry_after: int = 1) -> None:
        super().__init__(detail, headers={"Retry-After": str(retry_after)})


class DatabaseUnavailable(Unavailable):
    text = "The database is not available just now."


class Problem(Response):
    """A problem is the answer to a refused request. Its `type` begins as the application's settings
    say, so the body is written when the application answers with it.
    """

    media_type = MEDIA_TYPE

    def __init__(
        self, code: str, members: Mapping[str, Any], status: int, headers: Mapping[str, str] | None
    ) -> None:
        super().__init__(None, status, headers)
        self._code = code
        self._members = members

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        prefix = scope["app"].state.settings.problem_prefix
        self.body = to_json({"type": prefix + self._code, **self._members})
        self.headers["Content-Length"] = str(len(self.body))
        await super().__call__(scope, receive, send)


def title_of(code: str) -> str:
    """Return the title of a problem: the same for every problem of its code."""
    return code.replace("-", " ").capitalize()


def status_of(kind: type[CodedError]) -> int:
    """Return the status that answers a refusal of this class."""
    if issubclass(kind, Refusal):
        return kind.status
    return next(
        (status for known, status in STATUS_OF.items() if issubclass(kind, known)), OTHERWISE
    )


def problem(
    error: CodedError,
    *,
    status: int | None = None,
    headers: Mapping[str, str] | None = None,
    errors: list[dict[str, Any]] | None = None,
) -> Problem:
    """Return the answer to a refused request. `status` and `headers` are the error's own unless
    given. `errors` name the wrong fields, where there may be several.
    """
    if status is None:
        status = status_of(type(error))
    if headers is None and isinstance(error, Refusal):
        headers = error.headers
    members = {
        "title": title_of(error.code),
        "status": status,
        "detail": str(error),
        "code": error.code,
        "params": error.params or None,
        "field": error.field,
        "errors": errors,
    }
    given = {name: value for name, value in members.items() if value is not None}
    return Problem(error.code, given, status, headers)
