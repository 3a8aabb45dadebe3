"""Payouts publishes these events. Amounts are integer cents."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from libs.kernel.events import Direction
from services.events import MarketEvent


@dataclass(frozen=True, kw_only=True)
class PayoutEvent(MarketEvent):
    """`order_id` is null for a payout that a client requested. `seller_id` is null where that
    client named no seller.
    """

    payout_id: UUID
    external_id: str
    order_id: UUID | None
    seller_id: UUID | None
    amount_cents: int

    @property
    def subject(self) -> UUID:
        return self.order_id or self.payout_id

    @property
    def correlation_id(self) -> UUID | None:
        return self.order_id


@dataclass(frozen=True, kw_only=True)
class PayoutCompleted(PayoutEvent):
    """The bank has paid the seller."""

    type: ClassVar[str] = "payout.completed.v1"


@dataclass(frozen=True, kw_only=True)
class PayoutUnanswered(PayoutEvent):
    """The bank has left several calls unanswered, and nobody knows whether it paid. A person must
    look there. The bank is called again all the same.
    """

    type: ClassVar[str] = "payout.unanswered.v1"
    direction = Direction.COMPENSATION


@dataclass(frozen=True, kw_only=True)
class PayoutFailed(PayoutEvent):
    """The bank refuses for good. A person must remove the cause and retry the payout."""

    type: ClassVar[str] = "payout.failed.v1"
    direction = Direction.COMPENSATION
    reason: str
