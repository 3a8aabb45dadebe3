"""What happened to one purchase, vehicle or customer, as its services stated it."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID


class Kind(StrEnum):
    PURCHASE = "purchase"
    VEHICLE = "vehicle"
    CUSTOMER = "customer"
    PAYOUT = "payout"


class Direction(StrEnum):
    """FORWARD: a step on. BACK: a failure, a cancellation or what undoes a step."""

    FORWARD = "forward"
    BACK = "back"


class PurchaseState(StrEnum):
    """What orders said last, and for a closed one whether its seller has been paid."""

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
"""Where an open purchase stands on its way forward, in order, named as orders names it."""

STAGE_AFTER: Mapping[str, int] = {
    "credit.reserved.v1": 1,
    "vehicle.reserved.v1": 2,
    "payment.code_generated.v1": 3,
    "payment.processed.v1": 4,
}
"""The place in `STAGES` that an event raises a purchase to."""

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
"""Once one of these is heard, an open purchase is on its way back."""

COMPENSATING, AWAITING_PAYMENT = "COMPENSATING", "AWAITING_PAYMENT"
STUCK_AFTER = timedelta(minutes=5)
"""A purchase that waits for services is stuck after so long without an event, and one that waits
for its buyer when the payment code has expired so long ago."""


@dataclass(frozen=True)
class Fact:
    """An event as it was heard. `sequence` counts within `service` and subject; `details` hold
    ids, amounts and reasons only.
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
        """What the purchase is after this, where the event says so."""
        return STATE_AFTER.get(self.type)


@dataclass(frozen=True)
class Moment:
    """A fact in its timeline. `position` grows in the order of hearing, without gaps that matter:
    whoever has seen position n has missed nothing below. `ms` is since the subject's first event,
    and may be negative while that one has not been heard.
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
    """The head of a timeline. What only an event can say is None until one has said it.

    `stage` is a place in STAGES. `last_at`: when the latest event heard so far happened.
    `pays_until`: when the payment code expires. `vehicle` is its make and model.
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
        """Where it stands, named as orders names its states."""
        if self.state is PurchaseState.GIVEN_UP:
            return COMPENSATING
        if self.state is not PurchaseState.OPEN:
            return self.state.value
        return COMPENSATING if self.turned_back else STAGES[self.stage]

    def is_stuck(self, now: datetime) -> bool:
        """Whether a step that should take seconds has not come for STUCK_AFTER."""
        if self.is_finished or self.state is PurchaseState.COMPLETED:
            return False
        if self.phase == AWAITING_PAYMENT:
            return self.pays_until is not None and now - self.pays_until > STUCK_AFTER
        return now - self.last_at > STUCK_AFTER

    @property
    def is_finished(self) -> bool:
        """Nothing more is to come: it failed, was cancelled, or is closed and paid out."""
        if self.state is PurchaseState.CLOSED:
            return self.payout_heard or self.seller_id is None
        return self.state in (PurchaseState.FAILED, PurchaseState.CANCELLED)


@dataclass(frozen=True)
class Timeline:
    purchase: Purchase
    moments: Sequence[Moment]


@dataclass(frozen=True)
class Sought:
    """Which purchases are looked for. What is None or empty narrows nothing.

    `phase`: as `Purchase.phase`. `stuck_at`: those stuck at this moment. `quiet_since`: no event
    after it; without a `phase` those that have ended are left out. `among`: of these only. `of`:
    the id of the purchase, of its customer or of its vehicle is one of these. `words`: all of them
    stand in the vehicle's name. Where both `of` and `words` are given, one of the two has to fit.
    """

    phase: str | None = None
    stuck_at: datetime | None = None
    quiet_since: datetime | None = None
    among: Collection[UUID] | None = None
    of: Collection[UUID] | None = None
    words: Sequence[str] = ()
