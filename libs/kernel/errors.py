"""The kinds of refusal a domain can answer with. Each becomes one HTTP status, in one place."""

from typing import ClassVar


class CodedError(Exception):
    """An error that programs tell by `code`, and people by a sentence in their language.

    `code` is stable: clients may depend on it. `text` is the sentence in English; `{name}` in it
    stands for the parameter of that name, and a parameter whose name ends in `_cents` is money.
    `detail` is a sentence for this one case, in place of `text`. `field` names the input it is
    about, where there is one. None of them holds personal data.
    """

    code: ClassVar[str]
    text: ClassVar[str]

    def __init__(
        self, detail: str | None = None, *, field: str | None = None, **params: str | int
    ) -> None:
        super().__init__(self.text.format_map(params) if detail is None else detail)
        self.field = field
        self.params = params


class DomainError(CodedError):
    """A refusal of the domain, not a fault. Each has a code and a text of its own; those below are
    of the kind alone.
    """


class NotFound(DomainError):
    """The tenant has no such thing (404)."""

    code = "not-found"
    text = "There is no such thing."


class Invalid(DomainError):
    """The input breaks a rule (422)."""

    code = "invalid"
    text = "The input breaks a rule."


class Conflict(DomainError):
    """The current state does not allow it (409)."""

    code = "conflict"
    text = "The state of things does not allow it."


class StaleVersion(DomainError):
    """The caller acted on an older version than the current one (412)."""

    code = "stale-version"
    text = "It has changed since the version that the request names."


class Forbidden(DomainError):
    """The caller may not do this (403)."""

    code = "forbidden"
    text = "The caller may not do this."


class Unidentified(DomainError):
    """The caller is not known (401)."""


class TooMany(DomainError):
    """It was tried too often in a short time (429)."""


class RoleNeeded(Forbidden):
    """`roles`: the caller needs one of them."""

    text = "This needs the role {roles}."

    def __init__(self, *roles: str, field: str | None = None) -> None:
        super().__init__(field=field, roles=" or ".join(roles))
