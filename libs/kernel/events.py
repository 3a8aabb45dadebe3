"""Domain events: facts in the past tense, caused by a method of an entity."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum
from typing import ClassVar
from uuid import UUID


class Direction(Enum):
    """FORWARD: a step on. COMPENSATION: a failure, a cancellation, or a step that was undone."""

    FORWARD = "forward"
    COMPENSATION = "compensation"


@dataclass(frozen=True, kw_only=True)
class DomainEvent:
    """A fact about one aggregate. The fields of a subclass are the `data` of its message.

    `type` is the wire name with its version. It is chosen once and never derived from the class,
    because it is the CloudEvents type and the routing key.

    `extensions` maps the CloudEvents extension attributes of an application, such as `tenantid`,
    to the fields that hold their values. `schema_prefix` precedes the type in `dataschema`; an
    event without one has no `dataschema`.

    `direction` says where the event leads the process it belongs to.
    """

    type: ClassVar[str]
    direction: ClassVar[Direction] = Direction.FORWARD
    extensions: ClassVar[Mapping[str, str]] = {}
    schema_prefix: ClassVar[str] = ""

    sequence: int
    """The aggregate's own counter: each event has a number one higher than the one before. It is an
    attribute of the envelope.
    """

    @property
    def subject(self) -> UUID:
        """The aggregate this is about. The relay publishes events of one subject in their order."""
        raise NotImplementedError

    @property
    def correlation_id(self) -> UUID | None:
        """The business process this belongs to, such as a purchase; None outside one."""
        return None
