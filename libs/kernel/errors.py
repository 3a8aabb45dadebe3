"""A domain refuses with one of these kinds of error; one place gives each its HTTP status."""

from typing import ClassVar


class CodedError(Exception):
    """Programs tell a `CodedError` by its `code`; people read its sentence in their language.

    `code` is stable: clients may depend on it. `text` is the sentence in English; `{name}` in it
    stands for the parameter of that name, and a parameter whose name ends in `_cents` is money.
    `detail` is a sentence for this one case, in place of `text`. `field` names the input that the
    error is about, where there is one. None of them holds personal data.
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
    """A `DomainError` is a refusal of the domain, not a fault. Each has its own code and text; the
    subclasses below have those of their kind.
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
    """The current state does not allow the action (409)."""

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
    """The caller tried too often in a short time (429)."""


class RoleNeeded(Forbidden):
    """The caller needs one of `roles`."""

    text = "This needs the role {roles}."

    def __init__(self, *roles: str, field: str | None = None) -> None:
        super().__init__(field=field, roles=" or ".join(roles))
