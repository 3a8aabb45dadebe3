"""Refusals as RFC 9457 problem+json. Each `type` is a stable URN; internals never show."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any, TypeVar

from pydantic_core import to_json
from starlette.responses import Response

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


def problem(
    status: int,
    code: str,
    detail: str,
    *,
    headers: Mapping[str, str] | None = None,
    **members: Any,
) -> Response:
    """The answer to a refused request; `members` that are None are left out."""
    content = {
        "type": f"urn:mercado-veiculo:problem:{code}",
        "title": HTTPStatus(status).phrase,
        "status": status,
        "detail": detail,
        **{name: value for name, value in members.items() if value is not None},
    }
    return Response(
        to_json(content), status, dict(headers) if headers else None, media_type=MEDIA_TYPE
    )


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


def of_refusal(error: Refusal) -> Response:
    return problem(error.status, error.code, error.detail, headers=error.headers, field=error.field)


def of_domain_error(error: DomainError) -> Response:
    status = next((status for kind, status in STATUS_OF.items() if isinstance(error, kind)), 422)
    return problem(status, error.code, str(error), field=error.field)
