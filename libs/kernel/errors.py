"""The kinds of refusal a domain can answer with. Each becomes one HTTP status, in one place."""

from typing import ClassVar


class DomainError(Exception):
    """A refusal of the domain, not a fault. `code` is stable: clients may depend on it.

    `str(error)` is one sentence for the caller and holds no personal data. `field` names the
    input it is about, where there is one.
    """

    code: ClassVar[str]

    def __init__(self, message: str, *, field: str | None = None) -> None:
        super().__init__(message)
        self.field = field


class NotFound(DomainError):
    """No such thing for this tenant (404)."""

    code = "not-found"


class Invalid(DomainError):
    """The input breaks a rule (422)."""

    code = "invalid"


class Conflict(DomainError):
    """The state of things does not allow it (409)."""

    code = "conflict"


class StaleVersion(DomainError):
    """The caller acted on an older version than the current one (412)."""

    code = "stale-version"


class Forbidden(DomainError):
    """The caller may not do this (403)."""

    code = "forbidden"
