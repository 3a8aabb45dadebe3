"""What clients send and get."""

from typing import Annotated, Literal
from uuid import UUID

from pydantic import Field

from libs.runtime.schemas import Body, Cents, Out
from services.payouts.domain.payout import Payout, Status

EXTERNAL_ID = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$"
"""It stands in addresses, so it is made of what needs no escaping there."""


class PayoutRequest(Body):
    external_id: Annotated[str, Field(pattern=EXTERNAL_ID, examples=["bonus-2026-11-ana"])]
    amount_cents: Annotated[Cents, Field(ge=1)]
    seller_id: Annotated[
        UUID | None,
        Field(description="Who sees it as his; without one only operators and admins do."),
    ] = None


class PayoutOut(Out):
    """`duplicate` is the answer to a request for an `external_id` that there is already: all the
    rest is of the payout there is.
    """

    payout_id: UUID
    external_id: str
    status: Status | Literal["duplicate"]
    amount_cents: int
    seller_id: UUID | None
    order_id: UUID | None
    bank_reference: str | None
    reason: str | None
    attempts: int

    @classmethod
    def of(cls, payout: Payout, *, duplicate: bool = False) -> "PayoutOut":
        return cls(
            payout_id=payout.payout_id,
            external_id=payout.external_id,
            status="duplicate" if duplicate else payout.status,
            amount_cents=payout.amount_cents,
            seller_id=payout.seller_id,
            order_id=payout.order_id,
            bank_reference=payout.bank_reference,
            reason=payout.reason,
            attempts=payout.attempts,
        )


class PayoutPage(Out):
    items: list[PayoutOut]
    next: str | None
