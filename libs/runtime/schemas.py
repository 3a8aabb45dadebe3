"""What clients send and get has these base classes."""

from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, field_validator
from pydantic.alias_generators import to_camel

from libs.runtime.field_errors import CannotBeNull, CannotBeStored, fault

MAX_INTEGER = 2**63 - 1

Cents = Annotated[int, Field(strict=True, ge=0, le=10**12)]
"""Money is in whole cents; text, fractions and booleans are refused."""


class Body(BaseModel):
    """A client sends a body. Unknown fields are refused, and so is what Postgres cannot hold."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @field_validator("*")
    @classmethod
    def _storable(cls, value: Any) -> Any:
        if isinstance(value, str) and "\x00" in value:
            raise fault(CannotBeStored())
        if isinstance(value, int) and abs(value) > MAX_INTEGER:
            raise fault(CannotBeStored())
        return value


class Changes(Body):
    """A field that is left out stays as it is, and none can be emptied."""

    @field_validator("*", mode="before")
    @classmethod
    def _not_null(cls, value: Any) -> Any:
        if value is None:
            raise fault(CannotBeNull())
        return value


class CamelBody(Body):
    """The fields of this body are camelCase on the wire."""

    model_config = ConfigDict(alias_generator=to_camel)


class Out(BaseModel):
    """A client gets an answer of this class."""

    model_config = ConfigDict(frozen=True)


class CamelOut(Out):
    """The fields of this answer are camelCase on the wire; it is made with snake_case names."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)
