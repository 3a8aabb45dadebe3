"""A domain event is a fact in the past tense, caused by a method of an entity."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar
from uuid import UUID


class Direction(Enum):
    """FORWARD is a further step. COMPENSATION is a failure, a cancellation or an undone step."""

    FORWARD = "forward"
    COMPENSATION = "compensation"


@dataclass(frozen=True, kw_only=True)
class DomainEvent:
    """A `DomainEvent` is a fact about one aggregate. The fields of a subclass are the `data` of its
    message.

    `type` is the wire name with its version. It is chosen once and never derived from the class,
    because it is the CloudEvents type and the routing key.

    `extensions` maps the CloudEvents extension attributes of an application, such as `tenantid`, to
    the fields that hold their values. `schema_prefix` precedes the type in `dataschema`; an event
    without a prefix has no `dataschema`.

    `direction` says where the event leads the process it belongs to.
    """

    type: ClassVar[str]
    direction: ClassVar[Direction] = Direction.FORWARD
    extensions: ClassVar[Mapping[str, str]] = {}
    schema_prefix: ClassVar[str] = ""

    sequence: int
    """The aggregate counts its events: each has a number one higher than the one before. The number
    is an attribute of the envelope.
    """

    @property
    def subject(self) -> UUID:
        """Return the aggregate of the event. The relay keeps the order of its events."""
        raise NotImplementedError

    @property
    def correlation_id(self) -> UUID | None:
        """Return the business process of the event, such as a purchase; None outside one."""
        return None
