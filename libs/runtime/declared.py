"""An endpoint, or a dependency of one, declares what it may answer. The declaration is beside the
code that decides it, and the OpenAPI document is made from it.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeVar

F = TypeVar("F", bound=Callable[..., Any])

ETAG, LOCATION, LINK, REPLAYED = "ETag", "Location", "Link", "Idempotency-Replayed"
CALLERS = "callers"


@dataclass(frozen=True)
class Declared:
    """An endpoint may refuse with `statuses`. `without` is the header that it needs. It needs all
    of these `schemes` of security; `CALLERS` stands for any by which a service knows its callers.
    Answers of `status` have these `headers`, all 2xx where that is None.
    """

    statuses: tuple[int, ...] = ()
    without: str | None = None
    schemes: tuple[str, ...] = ()
    headers: tuple[str, ...] = ()
    status: int | None = None


def refuses(
    *statuses: int, without: str | None = None, schemes: tuple[str, ...] = ()
) -> Callable[[F], F]:
    return _declaring(Declared(statuses, without, schemes))


def answers(*headers: str, status: int | None = None) -> Callable[[F], F]:
    return _declaring(Declared(headers=headers, status=status))


def declared_by(decided: object) -> tuple[Declared, ...]:
    return getattr(decided, "declared", ())


def _declaring(declared: Declared) -> Callable[[F], F]:
    def declare(decided: F) -> F:
        vars(decided)["declared"] = (*declared_by(decided), declared)
        return decided

    return declare
