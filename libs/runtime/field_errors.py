"""An error of one field of a request has a code, parameters, and a sentence in English.

Pydantic has its own names for what it refuses. Those that these schemas can cause have codes here,
and all others are `malformed`. A rule of the domain keeps its own code.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar, get_args

from pydantic import AfterValidator
from pydantic_core import PydanticCustomError
from pydantic_core.core_schema import ErrorType

from libs.kernel.errors import CodedError, Invalid

MAX_ERRORS = 20
MAX_NAME = 100
MALFORMED = "malformed"
INVALID_JSON = "json_invalid"

T = TypeVar("T")


@dataclass(frozen=True)
class Fault:
    """A fault is a code for one of Pydantic's errors. `params` maps the name of a parameter here to
    Pydantic's name.
    """

    code: str
    params: Mapping[str, str]


FAULTS: Mapping[str, Fault] = {
    "missing": Fault("missing", {}),
    "extra_forbidden": Fault("unknown-field", {}),
    "string_too_short": Fault("too-short", {"least": "min_length"}),
    "string_too_long": Fault("too-long", {"most": "max_length"}),
    "greater_than_equal": Fault("too-small", {"least": "ge"}),
    "less_than_equal": Fault("too-large", {"most": "le"}),
    "enum": Fault("not-one-of", {"expected": "expected"}),
    "literal_error": Fault("not-one-of", {"expected": "expected"}),
}
"""These are the codes by Pydantic's name. The sentence is Pydantic's message."""
PYDANTICS_OWN = frozenset(get_args(ErrorType))


class CannotBeNull(Invalid):
    code = "cannot-be-null"
    text = "It cannot be null: leave the field out to keep what there is."


class CannotBeStored(Invalid):
    code = "cannot-be-stored"
    text = "It holds a value that cannot be stored."


def fault(error: CodedError) -> PydanticCustomError:
    """Return the error in the form that a validator of a field raises, so that its code and
    parameters reach the client.
    """
    return PydanticCustomError(error.code, error.text, error.params or None)


def rule(check: Callable[[T], T]) -> AfterValidator:
    """Return a validator for a rule of the domain: a refusal then names every wrong field at once.
    `check` returns the value in its normal form, or raises Invalid.
    """

    def checked(value: T) -> T:
        try:
            return check(value)
        except Invalid as error:
            raise fault(error) from None

    return AfterValidator(checked)


def described(details: list[Any]) -> list[dict[str, Any]]:
    """Return Pydantic's findings as a problem lists them, without values: they may be personal."""
    return [_described(detail) for detail in details[:MAX_ERRORS]]


def _described(detail: Mapping[str, Any]) -> dict[str, Any]:
    kind, context = detail["type"], detail.get("ctx") or {}
    message = str(detail["msg"])
    if kind not in PYDANTICS_OWN:
        code, params = kind, dict(context)
    else:
        known = FAULTS.get(kind, Fault(MALFORMED, {}))
        code = known.code
        params = {ours: context[theirs] for ours, theirs in known.params.items()}
    if kind == "uuid_parsing":
        message = message.partition(",")[0]
    found = {"field": field_of(detail["loc"]), "code": code, "message": message}
    return found | ({"params": params} if params else {})


def field_of(location: tuple[Any, ...]) -> str:
    """Return `totalCents`, `lines.0.price` or `X-Count`; `body` for the body as a whole."""
    if location[0] == "header":
        return str(location[-1]).title()
    return ".".join(str(part) for part in location[1:] or location)[:MAX_NAME]
