"""A timeline shows what happened to one purchase, vehicle or customer, by services' events."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from libs.kernel.events import Direction


class Kind(StrEnum):
    PURCHASE = "purchase"
    VEHICLE = "vehicle"
    CUSTOMER = "customer"
    PAYOUT = "payout"


class PurchaseState(StrEnum):
    """The state is the last that orders published. For a closed purchase it also says whether its
    seller has been paid.
    """

    OPEN = "OPEN"
    GIVEN_UP = "GIVEN_UP"
    COMPLETED = "COMPLETED"
    CLOSED = "CLOSED"
    FAILED = "FAILED"
    CANCELLED = "CANCELLED"


STATE_AFTER: Mapping[str, PurchaseState] = {
    "order.confirmed.v1": PurchaseState.OPEN,
    "order.cancellation_requested.v1": PurchaseState.GIVEN_UP,
    "order.completed.v1": PurchaseState.COMPLETED,
    "order.closed.v1": PurchaseState.CLOSED,
    "order.failed.v1": PurchaseState.FAILED,
    "order.cancelled.v1": PurchaseState.CANCELLED,
}


STAGES = ("REQUESTED", "CREDIT_RESERVED", "VEHICLE_RESERVED", "AWAITING_PAYMENT", "PAID")
"""An open purchase rises through these stages, in order. Their names are those of orders."""

STAGE_AFTER: Mapping[str, int] = {
    "credit.reserved.v1": 1,
    "vehicle.reserved.v1": 2,
    "payment.code_generated.v1": 3,
    "payment.processed.v1": 4,
}
"""The event raises a purchase to this place in `STAGES`."""

TURNING = frozenset(
    {
        "credit.reservation_failed.v1",
        "credit.released.v1",
        "vehicle.reservation_failed.v1",
        "vehicle.sale_failed.v1",
        "vehicle.released.v1",
        "payment.code_generation_failed.v1",
        "payment.failed.v1",
        "payment.expired.v1",
        "payment.voided.v1",
        "payment.refunded.v1",
        "order.cancellation_requested.v1",
    }
)
"""After one of these events, the compensation of an open purchase has begun."""

COMPENSATING, AWAITING_PAYMENT = "COMPENSATING", "AWAITING_PAYMENT"
STUCK_AFTER = timedelta(minutes=5)
"""A purchase without an event for this long is stuck. The time counts from the last event where the
purchase waits for services, and from the expiry of the payment code where it waits for its buyer.
"""


@dataclass(frozen=True)
class Fact:
    """A fact is an event as it was consumed. `sequence` counts within `service` and subject;
    `details` hold ids, amounts and reasons only.
    """

    event_id: UUID
    tenant_id: str
    kind: Kind
    subject_id: UUID
    service: str
    type: str
    sequence: int
    occurred_at: datetime
    details: Mapping[str, Any]

    @property
    def state(self) -> PurchaseState | None:
        """Return the state of the purchase after this event, or None where it states none."""
        return STATE_AFTER.get(self.type)


@dataclass(frozen=True)
class Moment:
    """A moment is a fact in its timeline. `position` grows in the order of arrival: a reader who
    has seen position n has missed nothing below it. `ms` counts from the subject's first event, and
    may be negative while that event has not arrived.
    """

    position: int
    service: str
    type: str
    direction: Direction
    occurred_at: datetime
    ms: int
    details: Mapping[str, Any]


@dataclass(frozen=True)
class Purchase:
    """A purchase is the head of a timeline. A field whose value comes from an event is None until
    that event arrives.

    `stage` is an index in STAGES. `last_at` is the time of the latest event so far. `pays_until` is
    the expiry of the payment code. `vehicle` is its make and model.
    """

    id: UUID
    tenant_id: str
    customer_id: UUID | None
    seller_id: UUID | None
    state: PurchaseState
    position: int
    started_at: datetime
    payout_heard: bool
    last_at: datetime
    stage: int = 0
    turned_back: bool = False
    pays_until: datetime | None = None
    vehicle_id: UUID | None = None
    vehicle: str | None = None
    total_cents: int | None = None

    @property
    def phase(self) -> str:
        """Return the state of the purchase, with the names that orders uses."""
        if self.state is PurchaseState.GIVEN_UP:
            return COMPENSATING
        if self.state is not PurchaseState.OPEN:
            return self.state.value
        return COMPENSATING if self.turned_back else STAGES[self.stage]

    def is_stuck(self, now: datetime) -> bool:
        """Return whether the purchase is stuck, as STUCK_AFTER defines it."""
        if self.is_finished or self.state is PurchaseState.COMPLETED:
            return False
        if self.phase == AWAITING_PAYMENT:
            return self.pays_until is not None and now - self.pays_until > STUCK_AFTER
        return now - self.last_at > STUCK_AFTER

    @property
    def is_finished(self) -> bool:
        """Return whether it failed, was cancelled, or is closed and paid out. No event follows."""
        if self.state is PurchaseState.CLOSED:
            return self.payout_heard or self.seller_id is None
        return self.state in (PurchaseState.FAILED, PurchaseState.CANCELLED)


@dataclass(frozen=True)
class Timeline:
    purchase: Purchase
    moments: Sequence[Moment]


@dataclass(frozen=True)
class Sought:
    """A search for purchases ignores a field that is None or empty.

    `phase` is compared with `Purchase.phase`. `stuck_at` finds those stuck at this moment.
    `quiet_since` finds those without a later event; without a `phase` it leaves out those that have
    ended. `among` limits the search to these purchases. `of` finds purchases whose own id,
    customer's id or vehicle's id is one of these. All `words` must be in the vehicle's name. Where
    both `of` and `words` are given, one of the two has to match.
    """

    phase: str | None = None
    stuck_at: datetime | None = None
    quiet_since: datetime | None = None
    among: Collection[UUID] | None = None
    of: Collection[UUID] | None = None
    words: Sequence[str] = ()
