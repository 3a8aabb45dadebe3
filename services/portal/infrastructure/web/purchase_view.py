"""The page of a purchase shows how far it has come, and its events in one lane for each service."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache
from typing import Any, Literal, Self

from libs.kernel.events import Direction
from libs.messaging.saga.choreography import read
from libs.runtime.settings import CHOREOGRAPHY
from services.portal.domain.timeline import Moment
from services.portal.infrastructure.language.i18n import marked
from services.portal.infrastructure.web.wording import EVENTS

STEPS = (
    ("order.confirmed", marked("Order")),
    ("credit.reserved", marked("Credit")),
    ("vehicle.reserved", marked("Vehicle")),
    ("payment.code_generated", marked("Payment code")),
    ("payment.processed", marked("Payment")),
    ("order.completed", marked("Sale")),
    ("order.closed", marked("Pick-up")),
)
STATES_AFTER = (
    "REQUESTED",
    "CREDIT_RESERVED",
    "VEHICLE_RESERVED",
    "AWAITING_PAYMENT",
    "PAID",
    "COMPLETED",
    "CLOSED",
)
"""After the step at the same place, orders has this state."""
RESTING = frozenset({"AWAITING_PAYMENT", "COMPLETED", "CLOSED", "FAILED", "CANCELLED"})
FAILED = frozenset({"COMPENSATING", "FAILED", "CANCELLED"})
CAN_CANCEL = frozenset(STATES_AFTER) - {"CLOSED"}
WAITING = "payment.code_generated"

Mark = Literal["done", "now", "undone", ""]


@dataclass(frozen=True)
class Standing:
    """The standing is the state of a purchase in orders. Amounts are in cents."""

    transaction_id: str
    state: str
    customer_id: str
    vehicle_id: str
    total_cents: int
    reason: str | None
    cancelled_by_buyer: bool
    needs_attention: bool
    payment_code: str | None
    payment_code_expires_at: datetime | None
    requested_at: datetime | None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Self:
        values: dict[str, Any] = {name: answer.get(name) for name in cls.__annotations__}
        for name, value in values.items():
            if name.endswith("_at") and value:
                values[name] = datetime.fromisoformat(value)
        return cls(**values)

    @property
    def rests(self) -> bool:
        """Return whether nothing happens until somebody acts."""
        return self.state in RESTING

    @property
    def has_failed(self) -> bool:
        """Return whether it ends without a sale, so that the vehicle can be bought again."""
        return self.state in FAILED

    @property
    def can_cancel(self) -> bool:
        return self.state in CAN_CANCEL


@dataclass(frozen=True)
class CodeRecord:
    """Payments has this record of a payment code. `reason` says why the last card was declined."""

    state: str
    declines: int
    tries_left: int
    reason: str | None

    @classmethod
    def of(cls, answer: Mapping[str, Any]) -> Self:
        """Read the answer, also of an older release, in which the first declined card ends a
        payment.
        """
        return cls(
            answer["state"],
            answer.get("declines", 0),
            answer.get("tries_left", 1),
            answer.get("reason"),
        )


@dataclass(frozen=True)
class Step:
    label: str
    mark: Mark


@dataclass(frozen=True)
class Event:
    """`lane` counts from 1; `before` is the lane of the previous event. `ms` counts from the first
    event. `details` are the event's own fields, as far as `consumers.SHOWN` keeps them.
    """

    type: str
    service: str
    lane: int
    before: int
    tone: Literal["go", "wait", "back"]
    ms: int
    occurred_at: datetime
    details: Mapping[str, Any]
    is_new: bool


def steps(state: str, types: Collection[str]) -> list[Step]:
    """Return the steps of a purchase. `types` are those of its events, without version."""
    if state in STATES_AFTER:
        last = STATES_AFTER.index(state)
        return [Step(label, _mark(place, last)) for place, (_, label) in enumerate(STEPS)]
    return [Step(label, "undone" if event in types else "") for event, label in STEPS]


def types_of(moments: Sequence[Moment]) -> set[str]:
    return {_name(moment.type) for moment in moments}


def events(moments: Sequence[Moment], *, seen: int | None = None) -> list[Event]:
    """Return the events in the order they happened. Those after the position `seen` are new."""
    ordered = sorted(moments, key=lambda moment: (moment.occurred_at, moment.position))
    lanes = [lane_of(moment.service) for moment in ordered]
    return [
        Event(
            type=moment.type,
            service=moment.service,
            lane=lane,
            before=before,
            tone=_tone(moment),
            ms=moment.ms,
            occurred_at=moment.occurred_at,
            details=moment.details,
            is_new=seen is not None and moment.position > seen,
        )
        for moment, lane, before in zip(ordered, lanes, lanes[:1] + lanes, strict=False)
    ]


@cache
def lanes() -> Sequence[str]:
    """Return the services whose events a purchase's page names, in the choreography's order."""
    return [
        each.name
        for each in read(CHOREOGRAPHY).participants
        if any(_name(event.type) in EVENTS for event in each.publishes)
    ]


def lane_of(service: str) -> int:
    """Return the service's lane, from 1. A service that no longer publishes has the last one."""
    return lanes().index(service) + 1 if service in lanes() else len(lanes())


def _tone(moment: Moment) -> Literal["go", "wait", "back"]:
    if moment.direction is Direction.COMPENSATION:
        return "back"
    return "wait" if _name(moment.type) == WAITING else "go"


def _name(event_type: str) -> str:
    return event_type.rpartition(".v")[0] or event_type


def _mark(place: int, last: int) -> Mark:
    if place <= last:
        return "done"
    return "now" if place == last + 1 else ""
