"""A seller sees of a purchase what was sold, for how much, and when it is paid out."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from services.portal.domain.timeline import PurchaseState

SALES = (PurchaseState.OPEN, PurchaseState.COMPLETED, PurchaseState.CLOSED)
"""A sale has one of these states. Other purchases are undone or ended without a sale."""


class Payout(StrEnum):
    NOT_DUE = "NOT_DUE"
    DUE = "DUE"
    PAID = "PAID"
    UNANSWERED = "UNANSWERED"
    FAILED = "FAILED"


PAYOUTS = {
    "payout.completed.v1": Payout.PAID,
    "payout.unanswered.v1": Payout.UNANSWERED,
    "payout.failed.v1": Payout.FAILED,
}
RESERVED, PAID, CLOSED = "vehicle.reserved.v1", "payment.processed.v1", "order.closed.v1"
TOLD_BY = (RESERVED, PAID, CLOSED, *PAYOUTS)
"""A sale is built from these events."""


@dataclass(frozen=True)
class PastEvent:
    type: str
    at: datetime
    details: Mapping[str, Any]


@dataclass(frozen=True)
class Sale:
    """`price_cents` is in integer cents. Times are None until the events have happened."""

    order_id: UUID
    vehicle_id: UUID
    make: str
    model: str
    price_cents: int
    reserved_at: datetime
    paid_at: datetime | None
    picked_up_at: datetime | None
    payout: Payout
    payout_at: datetime | None

    @classmethod
    def of(cls, order_id: UUID, events: Sequence[PastEvent]) -> "Sale | None":
        """Build a sale from events in order. Returns None until the reservation is among them,
        because only it names the vehicle and the price.
        """
        last = {each.type: each for each in events}
        reserved, paid, closed = (last.get(each) for each in (RESERVED, PAID, CLOSED))
        if reserved is None:
            return None
        answer = next((each for each in reversed(events) if each.type in PAYOUTS), None)
        otherwise = Payout.DUE if closed else Payout.NOT_DUE
        return cls(
            order_id,
            UUID(reserved.details["vehicle_id"]),
            reserved.details["make"],
            reserved.details["model"],
            reserved.details["price_cents"],
            reserved.at,
            paid.at if paid else None,
            closed.at if closed else None,
            PAYOUTS[answer.type] if answer else otherwise,
            answer.at if answer else None,
        )
