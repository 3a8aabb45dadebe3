"""Payments publishes these events about a purchase. Amounts are integer cents."""

from dataclasses import dataclass
from datetime import datetime
from typing import ClassVar
from uuid import UUID

from libs.kernel.events import Direction
from services.events import PurchaseEvent


@dataclass(frozen=True, kw_only=True)
class PaymentEvent(PurchaseEvent):
    payment_id: UUID


@dataclass(frozen=True, kw_only=True)
class PaymentCodeGenerated(PaymentEvent):
    type: ClassVar[str] = "payment.code_generated.v1"
    amount_cents: int
    code: str
    expires_at: datetime


@dataclass(frozen=True, kw_only=True)
class PaymentCodeGenerationFailed(PaymentEvent):
    type: ClassVar[str] = "payment.code_generation_failed.v1"
    direction = Direction.COMPENSATION
    amount_cents: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class PaymentProcessed(PaymentEvent):
    type: ClassVar[str] = "payment.processed.v1"
    amount_cents: int


@dataclass(frozen=True, kw_only=True)
class PaymentFailed(PaymentEvent):
    type: ClassVar[str] = "payment.failed.v1"
    direction = Direction.COMPENSATION
    amount_cents: int
    reason: str


@dataclass(frozen=True, kw_only=True)
class PaymentChargeUnanswered(PaymentEvent):
    """The gateway has left several calls unanswered, and nobody knows whether it charged. A person
    must look there. The gateway is called again all the same.
    """

    type: ClassVar[str] = "payment.charge_unanswered.v1"
    direction = Direction.COMPENSATION
    amount_cents: int


@dataclass(frozen=True, kw_only=True)
class PaymentExpired(PaymentEvent):
    type: ClassVar[str] = "payment.expired.v1"
    direction = Direction.COMPENSATION
    amount_cents: int


@dataclass(frozen=True, kw_only=True)
class PaymentVoided(PaymentEvent):
    """The amount is null where the purchase was cancelled before its payment began."""

    type: ClassVar[str] = "payment.voided.v1"
    direction = Direction.COMPENSATION
    amount_cents: int | None


@dataclass(frozen=True, kw_only=True)
class PaymentRefunded(PaymentEvent):
    type: ClassVar[str] = "payment.refunded.v1"
    direction = Direction.COMPENSATION
    amount_cents: int


@dataclass(frozen=True, kw_only=True)
class PaymentRefundFailed(PaymentEvent):
    """The gateway keeps refusing the refund. A person must look there. It is tried again."""

    type: ClassVar[str] = "payment.refund_failed.v1"
    direction = Direction.COMPENSATION
    amount_cents: int
    reason: str
