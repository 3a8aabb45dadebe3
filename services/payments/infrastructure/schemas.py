"""These are the bodies that clients send and get."""

from datetime import datetime
from typing import Annotated, Literal, Self
from uuid import UUID

from pydantic import Field, model_validator

from libs.runtime.field_errors import fault, rule
from libs.runtime.schemas import Body, Out
from services.payments.domain.code import parse_code
from services.payments.domain.errors import ReferenceAndOutcome
from services.payments.domain.payment import Payment, State

Code = Annotated[str, Field(min_length=1, max_length=64, examples=["VHAJ-14WY-6FN9-WSAN"])]


class CodeRequest(Body):
    order_id: UUID


class PaymentRequest(Body):
    code: Annotated[Code, rule(parse_code)]
    method: Annotated[
        str,
        Field(
            pattern="^[a-z][a-z0-9_]{0,63}$",
            description="The gateway's token for the card. Card numbers are not accepted.",
            examples=["tok_approve"],
        ),
    ]


class SettlementRequest(Body):
    reference: Annotated[str, Field(min_length=1, max_length=100)]
    note: Annotated[str, Field(min_length=1, max_length=500)]


class ChargeSettlementRequest(Body):
    outcome: Literal["charged", "not_charged"]
    reference: Annotated[
        str | None,
        Field(
            min_length=1, max_length=100, description="The gateway's name of the charge, if any."
        ),
    ] = None
    note: Annotated[str, Field(min_length=1, max_length=500)]

    @model_validator(mode="after")
    def _a_charge_has_a_reference(self) -> Self:
        if (self.outcome == "charged") != (self.reference is not None):
            raise fault(ReferenceAndOutcome())
        return self


class CodeOut(Out):
    """`declines` counts the cards that were declined, and `reason` says why the last one was.
    `tries_left` is how many cards may still be tried. It is 0 once nothing can be paid any more.
    """

    code: str
    payment_id: UUID
    order_id: UUID
    amount_cents: int
    expires_at: datetime
    state: State
    declines: int
    tries_left: int
    reason: str | None

    @classmethod
    def of(cls, payment: Payment, card_tries: int) -> Self:
        """Show a payment that has a code."""
        open_tries = max(0, card_tries - payment.declines)
        can_be_paid = payment.state in (State.PENDING, State.PROCESSING)
        known = {name: getattr(payment, name) for name in cls.model_fields if name != "tries_left"}
        return cls(**known, tries_left=open_tries if can_be_paid else 0)


class AcceptedOut(Out):
    """A code paid again gets the same answer. `GET /payments/{payment_id}` shows the result."""

    payment_id: UUID
    order_id: UUID
    code: str
    amount_cents: int


class PaymentOut(Out):
    payment_id: UUID
    order_id: UUID
    customer_id: UUID | None
    state: State
    amount_cents: int | None
    code: str | None
    expires_at: datetime | None
    cancellation_requested: bool
    charge_reference: str | None
    charge_settled_by: str | None
    charge_settlement_note: str | None
    refund_reference: str | None
    refund_error: str | None
    settled_by: str | None
    settlement_note: str | None
    reason: str | None
    declines: int
    needs_attention: bool
    attempts: int


class PaymentPage(Out):
    items: list[PaymentOut]
    next: str | None
