"""These are the bodies that clients send and get."""

from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from libs.runtime.field_errors import fault, rule
from libs.runtime.schemas import Body, Cents, Out
from services.payouts.domain.errors import ReferenceAndOutcome
from services.payouts.domain.payout import Payout, Status, free_external_id

EXTERNAL_ID = "^[A-Za-z0-9][A-Za-z0-9._:-]{0,99}$"
"""An external id stands in addresses, so it has only characters that need no escaping there."""


class PayoutRequest(Body):
    external_id: Annotated[
        str,
        Field(pattern=EXTERNAL_ID, examples=["bonus-2026-11-ana"]),
        rule(free_external_id),
    ]
    amount_cents: Annotated[Cents, Field(ge=1)]
    seller_id: Annotated[
        UUID | None,
        Field(description="The seller who sees it; without one only operators and admins do."),
    ] = None


class PayoutSettlementRequest(Body):
    outcome: Literal["paid", "not_paid"]
    reference: Annotated[
        str | None,
        Field(min_length=1, max_length=100, description="The bank's name of the transfer, if any."),
    ] = None
    note: Annotated[str, Field(min_length=1, max_length=500)]

    @model_validator(mode="after")
    def _a_transfer_has_a_reference(self) -> Self:
        if (self.outcome == "paid") != (self.reference is not None):
            raise fault(ReferenceAndOutcome())
        return self


class PayoutOut(Out):
    """The status `duplicate` answers a request for an `external_id` that exists already. All other
    fields are those of the existing payout.
    """

    payout_id: UUID
    external_id: str
    status: Status | Literal["duplicate"]
    amount_cents: int
    seller_id: UUID | None
    order_id: UUID | None
    bank_reference: str | None
    reason: str | None
    settled_by: str | None
    settlement_note: str | None
    needs_attention: bool
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
            settled_by=payout.settled_by,
            settlement_note=payout.settlement_note,
            needs_attention=payout.needs_attention,
            attempts=payout.attempts,
        )


class PayoutPage(Out):
    items: list[PayoutOut]
    next: str | None
