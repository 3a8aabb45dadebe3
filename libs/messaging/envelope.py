"""An event is a CloudEvent 1.0 in structured JSON: the whole event is in the body.

The management UI's "Get messages" then shows everything, and nothing depends on AMQP headers.
"""

from collections.abc import Mapping
from dataclasses import fields
from datetime import datetime
from typing import Annotated, Generic, TypeVar
from uuid import UUID

from pydantic import AwareDatetime, BaseModel, ConfigDict, WithJsonSchema
from pydantic_core import to_json

from libs.kernel.events import DomainEvent

CONTENT_TYPE = "application/cloudevents+json"


SEQUENCE_DIGITS = 10
WireSequence = Annotated[
    int,
    WithJsonSchema(
        {
            "type": "string",
            "pattern": "^[0-9]+$",
            "description": "Orders the events of one subject, as text too.",
        }
    ),
]
"""The `sequence` extension of CloudEvents is text that sorts as the events do: a number with
leading zeros. A number is read as well: messages of older publishers hold one.
"""


class EventData(BaseModel):
    """A consumer's own view of a peer's `data` names only the fields that the consumer uses.

    Unknown fields are ignored; a field has no default, so that its absence is noticed.
    """

    model_config = ConfigDict(frozen=True, extra="ignore")


Data = TypeVar("Data", bound=EventData)


class Received(BaseModel, Generic[Data]):
    """A reaction gets a `Received`: the envelope, with `data` parsed into the reaction's view."""

    model_config = ConfigDict(frozen=True, extra="allow")

    id: UUID
    source: str
    type: str
    subject: str
    time: AwareDatetime
    sequence: WireSequence
    traceparent: str | None = None
    data: Data

    @property
    def extensions(self) -> Mapping[str, str]:
        """Return the CloudEvents extension attributes this class does not name, by name."""
        return self.model_extra or {}


def encode(
    event: DomainEvent,
    *,
    event_id: UUID,
    source: str,
    time: datetime,
    cause: str | None,
    traceparent: str | None,
) -> bytes:
    """Return the event as it goes on the wire. Attributes with no value are left out."""
    subject = str(event.subject)
    envelope: dict[str, object] = {
        "specversion": "1.0",
        "id": event_id,
        "source": source,
        "type": event.type,
        "subject": subject,
        "time": time,
        "datacontenttype": "application/json",
        "sequence": f"{event.sequence:0{SEQUENCE_DIGITS}}",
    }
    if event.schema_prefix:
        envelope["dataschema"] = f"{event.schema_prefix}{event.type}"
    for attribute, name in event.extensions.items():
        envelope[attribute] = getattr(event, name)
    if event.correlation_id is not None:
        envelope["correlationid"] = event.correlation_id
    if cause is not None:
        envelope["causationid"] = cause
    if traceparent is not None:
        envelope["traceparent"] = traceparent
    envelope["data"] = {name: getattr(event, name) for name in _data_fields(type(event))}
    return to_json(envelope)


def _data_fields(event_type: type[DomainEvent]) -> tuple[str, ...]:
    return tuple(field.name for field in fields(event_type) if field.name != "sequence")
