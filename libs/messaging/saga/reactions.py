"""A service has one reaction for each type of event it consumes, each with a queue of its own."""

from __future__ import annotations  # `Received[Data]` takes no TypeVar at run time

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, Generic, TypeVar

from libs.messaging.envelope import Data, EventData, Received
from libs.messaging.outbox.unit_of_work import UnitOfWork

Unit = TypeVar("Unit", bound=UnitOfWork)
Handler = Callable[[Unit, Received[Data]], Awaitable[None]]


class Step(Enum):
    """A reaction is a step of the saga, the compensation of one, or only a view."""

    FORWARD = "forward"
    BACKWARD = "backward"
    VIEW = "view"


@dataclass(frozen=True)
class Reaction(Generic[Unit]):
    """`handler` runs in a transaction the library owns; it never sees the broker message.

    `does` says in words what the service does with the event.
    """

    service: str
    event_type: str
    data_model: type[EventData]
    handler: Callable[[Unit, Received[Any]], Awaitable[None]]
    step: Step
    compensated_by: tuple[str, ...] = ()
    irrevocable: bool = False
    batch_delay: float = 0.0
    extensions: tuple[str, ...] = ()
    kept: bool = False
    does: str = ""

    @property
    def queue(self) -> str:
        """Return the queue's name, which reads so: `vehicles.on.credit.reserved.v1`."""
        return f"{self.service}.on.{self.event_type}"


class Reactions(Generic[Unit]):
    """Decorators register a service's reactions: `@on.view("payment.failed.v1", Failed)`.

    What a reaction does is the name of its handler up to `_when_`. Reactions that share a handler
    say it by `does`. A message without one of the `extensions`, CloudEvents extension attributes,
    is malformed.
    """

    def __init__(self, service: str, *, extensions: Sequence[str] = ()) -> None:
        self.service = service
        self.extensions = tuple(extensions)
        self.by_event: dict[str, Reaction[Unit]] = {}

    def forward(
        self,
        event_type: str,
        data_model: type[Data],
        *,
        compensated_by: Sequence[str],
        does: str = "",
    ) -> Callable[[Handler[Unit, Data]], Handler[Unit, Data]]:
        """Register a step; on the events in `compensated_by` this service undoes it."""
        return self._register(event_type, data_model, Step.FORWARD, does, tuple(compensated_by))

    def irrevocable(
        self, event_type: str, data_model: type[Data], *, does: str = ""
    ) -> Callable[[Handler[Unit, Data]], Handler[Unit, Data]]:
        """Register a step that is never compensated: it is tried until it is done, by the service
        or by a person.
        """
        return self._register(event_type, data_model, Step.FORWARD, does, irrevocable=True)

    def backward(
        self, event_type: str, data_model: type[Data], *, does: str = ""
    ) -> Callable[[Handler[Unit, Data]], Handler[Unit, Data]]:
        """Register a compensation: it undoes a step of this service, or leaves a tombstone."""
        return self._register(event_type, data_model, Step.BACKWARD, does)

    def view(
        self,
        event_type: str,
        data_model: type[Data],
        *,
        batch_delay: float = 0.0,
        kept: bool = False,
        does: str = "",
    ) -> Callable[[Handler[Unit, Data]], Handler[Unit, Data]]:
        """Register a view: it updates what this service knows, and moves nothing.

        With `batch_delay`, the consumer waits that many seconds after the first message, so that
        more of them share one transaction. It suits a view that nobody waits for.

        A service that publishes nothing has bounded queues for its views (see `view_queues`). The
        queue of a view that is `kept` drops nothing, because the service decides by what it knows
        from it.
        """
        return self._register(
            event_type, data_model, Step.VIEW, does, batch_delay=batch_delay, kept=kept
        )

    def _register(
        self,
        event_type: str,
        data_model: type[Data],
        step: Step,
        does: str,
        compensated_by: tuple[str, ...] = (),
        *,
        irrevocable: bool = False,
        batch_delay: float = 0.0,
        kept: bool = False,
    ) -> Callable[[Handler[Unit, Data]], Handler[Unit, Data]]:
        def register(handler: Handler[Unit, Data]) -> Handler[Unit, Data]:
            if event_type in self.by_event:
                raise ValueError(f"{self.service} already reacts to {event_type}")
            self.by_event[event_type] = Reaction(
                self.service,
                event_type,
                data_model,
                handler,
                step,
                compensated_by,
                irrevocable,
                batch_delay,
                self.extensions,
                kept,
                does or handler.__name__.partition("_when_")[0].replace("_", " "),
            )
            return handler

        return register
