"""The choreography as data says who publishes what, who consumes it, and what that undoes.

One JSON document holds it. It is written from the participants' code, and everything that has to
know other participants at run time reads it, so that no process loads their code.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Literal, TypeAlias

from pydantic import BaseModel, ConfigDict, ValidationError

from libs.kernel.events import Direction
from libs.messaging.saga.description import described
from libs.messaging.saga.participant import Participant
from libs.messaging.saga.reactions import Step


class ChoreographyError(Exception):
    """The choreography cannot be read, written or used. One line says why."""


class _Data(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Field(_Data):
    """A field of an event's `data` has a JSON type in `type`, such as `integer | null`."""

    type: str
    required: bool


class PublishedEvent(_Data):
    """An `unconsumed` event needs no consumer. A `correlated` event belongs to a business process,
    which its `correlationid` names. `extensions` are CloudEvents extension attributes.
    """

    type: str
    direction: Direction
    unconsumed: bool
    correlated: bool = False
    extensions: tuple[str, ...]
    fields: Mapping[str, Field]


class ConsumedEvent(_Data):
    """`fields` are those the consumer reads; one that `keeps_all` keeps the others too.

    `batch_delay` is in seconds: messages that arrive within it share a transaction. The queue of a
    `kept` event drops nothing, also where it is a view.
    """

    event_type: str
    queue: str
    step: Step
    compensated_by: tuple[str, ...]
    irrevocable: bool
    batch_delay: float
    kept: bool = False
    does: str
    extensions: tuple[str, ...]
    keeps_all: bool
    fields: Mapping[str, Field]

    @property
    def service(self) -> str:
        """Return the participant that consumes the event."""
        return self.queue.removesuffix(f".on.{self.event_type}")


class DescribedParticipant(_Data):
    """This is a participant as data; `Participant` is the same as code."""

    name: str
    publishes: tuple[PublishedEvent, ...]
    consumes: tuple[ConsumedEvent, ...]

    @property
    def reacts_to(self) -> tuple[ConsumedEvent, ...]:
        return self.consumes


AnyParticipant: TypeAlias = Participant | DescribedParticipant
"""Code that needs only names, types, queues and steps takes either of them."""


class Choreography(_Data):
    """A choreography has all participants, in the order of the process they carry out."""

    format: Literal[1] = 1
    participants: tuple[DescribedParticipant, ...]

    def participant(self, name: str) -> DescribedParticipant | None:
        return next((each for each in self.participants if each.name == name), None)

    @property
    def publishers(self) -> dict[str, str]:
        """Return the name of the publishing participant by event type."""
        return {event.type: each.name for each in self.participants for event in each.publishes}

    @property
    def correlated(self) -> frozenset[str]:
        """Return the event types whose messages have a `correlationid`."""
        return frozenset(
            event.type for each in self.participants for event in each.publishes if event.correlated
        )

    @property
    def compensations(self) -> frozenset[str]:
        """Return the event types that report a failure, a cancellation or an undone step."""
        return frozenset(
            event.type
            for each in self.participants
            for event in each.publishes
            if event.direction is Direction.COMPENSATION
        )

    def consumers_of(self, event_type: str) -> tuple[ConsumedEvent, ...]:
        return tuple(
            consumed
            for each in self.participants
            for consumed in each.consumes
            if consumed.event_type == event_type
        )

    def as_text(self) -> str:
        """Return the text that the document holds."""
        return self.model_dump_json(indent=2) + "\n"


def description_of(participant: Participant) -> DescribedParticipant:
    """Return the participant's code as data."""
    return DescribedParticipant.model_validate(described(participant))


def choreography_of(participants: Sequence[Participant]) -> Choreography:
    """Return what the code of all participants says."""
    return Choreography(participants=tuple(description_of(each) for each in participants))


def parsed(text: str | bytes, where: str) -> Choreography:
    """Return the document's content. A ChoreographyError names `where` the document comes from."""
    try:
        return Choreography.model_validate_json(text)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        problem = f"{place}: {first['msg']}" if place else first["msg"]
        raise ChoreographyError(f"{where} is no choreography: {problem}") from None


def read(path: Path) -> Choreography:
    """Read the document. Raises ChoreographyError when it is missing or unreadable."""
    try:
        text = path.read_bytes()
    except OSError as error:
        raise ChoreographyError(f"{path}: {error.strerror}") from None
    return parsed(text, str(path))
