"""Refusals as RFC 9457 problem+json. Each `type` is a stable URN; internals never show."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

from pydantic_core import to_json
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from libs.kernel.errors import (
    Conflict,
    DomainError,
    Forbidden,
    Invalid,
    NotFound,
    StaleVersion,
)

MEDIA_TYPE = "application/problem+json"

F = TypeVar("F", bound=Callable[..., Any])

STATUS_OF: Mapping[type[DomainError], int] = {
    NotFound: 404,
    Invalid: 422,
    Conflict: 409,
    StaleVersion: 412,
    Forbidden: 403,
}


class Refusal(Exception):
    """A refusal of the HTTP layer itself. `code` becomes the problem's type, `detail` is one
    sentence for the caller."""

    def __init__(
        self,
        status: int,
        code: str,
        detail: str,
        *,
        field: str | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.code = code
        self.detail = detail
        self.field = field
        self.headers = headers


class BadRequest(Refusal):
    """400: `field` names the header or parameter that is missing or malformed."""

    def __init__(self, detail: str, *, field: str, code: str = "bad-request") -> None:
        super().__init__(400, code, detail, field=field)


class Unavailable(Refusal):
    """503 with Retry-After: the same request may succeed in `retry_after` seconds."""

    def __init__(self, detail: str, *, retry_after: int = 1, code: str = "unavailable") -> None:
        super().__init__(503, code, detail, headers={"Retry-After": str(retry_after)})


class Problem(Response):
    """The answer to a refused request. Its `type` begins as the application's settings say, so the
    body is written when the application answers with it.
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


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> Problem:
    """The answer to a refused request; `members` that are None are left out."""
    content = {
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **{name: value for name, value in members.items() if value is not None},
    }
    return Problem(code, content, status, headers)


@dataclass(frozen=True)
class Declared:
    """What an endpoint or a dependency of one may answer, for the OpenAPI document.

    `without`: the header it cannot do without. `for_callers`: it wants to know who is calling.
    """

    statuses: tuple[int, ...]
    without: str | None = None
    for_callers: bool = False


def refuses(
    *statuses: int, without: str | None = None, for_callers: bool = False
) -> Callable[[F], F]:
    """Declare it where it is decided; the document is made from it."""

    def declare(decided: F) -> F:
        vars(decided)["declared"] = Declared(statuses, without, for_callers)
        return decided

    return declare


def declared_by(decided: object) -> Declared | None:
    found = getattr(decided, "declared", None)
    return found if isinstance(found, Declared) else None


def of_refusal(error: Refusal) -> Problem:
    return problem(error.status, error.code, error.detail, headers=error.headers, field=error.field)


def of_domain_error(error: DomainError) -> Problem:
    status = next((status for kind, status in STATUS_OF.items() if isinstance(error, kind)), 422)
    return problem(status, error.code, str(error), field=error.field)
