"""How a service says what it hears: one reaction per event, each with a queue of its own."""

from __future__ import annotations  # pydantic's generic models are no generics at run time

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

from libs.messaging.envelope import Data, Received, View
from libs.messaging.outbox.unit_of_work import UnitOfWork

Unit = TypeVar("Unit", bound=UnitOfWork)
Handler = Callable[[Unit, Received[Data]], Awaitable[None]]


class Step(Enum):
    """What a reaction is to the saga: a step, the way back of one, or only a view."""

    FORWARD = "forward"
    BACKWARD = "backward"
    VIEW = "view"


@dataclass(frozen=True)
class Reaction(Generic[Unit]):
    """`handler` runs in a transaction the library owns; it never sees the broker message."""

    service: str
    event_type: str
    view: type[View]
    handler: Callable[[Unit, Received[Any]], Awaitable[None]]
    step: Step
    compensated_by: tuple[str, ...] = ()
    irrevocable: bool = False
    linger: float = 0.0
    extensions: tuple[str, ...] = ()

    @property
    def queue(self) -> str:
        """The queue's name reads as the choreography: `vehicles.on.credit.reserved.v1`."""
        return f"{self.service}.on.{self.event_type}"


class Reactions(Generic[Unit]):
    """A service's reactions, registered by decorators: `@on.view("payment.failed.v1", View)`.

    A message without one of the `extensions`, CloudEvents extension attributes, is malformed.
    """

    def __init__(self, service: str, *, extensions: Sequence[str] = ()) -> None:
        self.service = service
        self.extensions = tuple(extensions)
        self.by_event: dict[str, Reaction[Unit]] = {}

    def forward(
        self, event_type: str, view: type[Data], *, compensated_by: Sequence[str]
    ) -> Callable[[Handler[Unit, Data]], Handler[Unit, Data]]:
        """A step of the saga; `compensated_by` names the events on which this service undoes it."""
        return self._register(event_type, view, Step.FORWARD, tuple(compensated_by))

    def irrevocable(
        self, event_type: str, view: type[Data]
    ) -> Callable[[Handler[Unit, Data]], Handler[Unit, Data]]:
        """A step forward beyond the last moment to turn back: it is tried until it is done, by the
        service or by a person, and never undone.
        """
        return self._register(event_type, view, Step.FORWARD, irrevocable=True)

    def backward(
        self, event_type: str, view: type[Data]
    ) -> Callable[[Handler[Unit, Data]], Handler[Unit, Data]]:
        """A compensation: undoes a step of this service, or leaves a tombstone in its place."""
        return self._register(event_type, view, Step.BACKWARD)

    def view(
        self, event_type: str, view: type[Data], *, linger: float = 0.0
    ) -> Callable[[Handler[Unit, Data]], Handler[Unit, Data]]:
        """Keeps this service's picture of the purchase up to date. One that nobody waits for may
        `linger`: so many seconds after a message came, what came meanwhile shares its transaction.
        """
        return self._register(event_type, view, Step.VIEW, linger=linger)

    def _register(
        self,
        event_type: str,
        view: type[Data],
        step: Step,
        compensated_by: tuple[str, ...] = (),
        *,
        irrevocable: bool = False,
        linger: float = 0.0,
    ) -> Callable[[Handler[Unit, Data]], Handler[Unit, Data]]:
        def register(handler: Handler[Unit, Data]) -> Handler[Unit, Data]:
            if event_type in self.by_event:
                raise ValueError(f"{self.service} already reacts to {event_type}")
            self.by_event[event_type] = Reaction(
                self.service,
                event_type,
                view,
                handler,
                step,
                compensated_by,
                irrevocable,
                linger,
                self.extensions,
            )
            return handler

        return register
