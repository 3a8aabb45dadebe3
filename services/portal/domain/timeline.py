"""What happened to one purchase, vehicle or customer, as its services stated it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
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
    """The head of a timeline. Who bought and who sells is null until an event has said it."""

    id: UUID
    tenant_id: str
    customer_id: UUID | None
    seller_id: UUID | None
    state: PurchaseState
    position: int
    started_at: datetime
    payout_heard: bool

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
