"""These are the bodies that clients send and get: camelCase for `/orders`, else snake_case."""

from datetime import datetime
from typing import Annotated, Any
from uuid import UUID

from pydantic import Field

from libs.runtime.schemas import Body, CamelBody, CamelOut, Cents, Out
from services.orders.domain.order import Order
from services.orders.domain.purchase import Purchase
from services.orders.domain.states import State, Status

Total = Annotated[Cents, Field(ge=1)]


class NewOrder(CamelBody):
    """With customer and vehicle the order becomes a purchase; without them it reserves nothing."""

    customer_id: UUID | None = None
    vehicle_id: UUID | None = None


class Confirmation(CamelBody):
    total_cents: Total


class PurchaseRequest(Body):
    customer_id: UUID
    vehicle_id: UUID
    total_cents: Total


class OrderOut(CamelOut):
    """`state` says where the purchase stands. It is null for an order without a purchase."""

    id: UUID
    status: Status
    version: int
    total_cents: int | None
    customer_id: UUID | None
    vehicle_id: UUID | None
    state: State | None
    created_at: datetime

    @classmethod
    def of(cls, order: Order) -> "OrderOut":
        return cls(
            id=order.id,
            status=order.status,
            version=order.version,
            total_cents=order.price_cents,
            customer_id=order.customer_id,
            vehicle_id=order.vehicle_id,
            state=None if order.purchase is None else order.purchase.state,
            created_at=order.created_at,
        )


class OrderPage(CamelOut):
    items: list[OrderOut]
    next: str | None


class PurchaseOut(Out):
    """`transaction_id` is the order's id. `needs_attention` is true where a refund or a payout
    failed, or the gateway or the bank does not answer.
    """

    transaction_id: UUID
    state: State
    customer_id: UUID
    vehicle_id: UUID
    total_cents: int
    reason: str | None
    requested_at: datetime | None
    cancelled_by_buyer: bool
    needs_attention: bool
    payment_code: str | None
    payment_code_expires_at: datetime | None

    @classmethod
    def of(cls, purchase: Purchase) -> "PurchaseOut":
        return cls(**_shown(purchase))


class PurchasePage(Out):
    items: list[PurchaseOut]
    next: str | None


class HistoryEntry(Out):
    """An entry is one event of the purchase. `sequence` counts within the service that published
    it.
    """

    type: str
    service: str
    sequence: int
    time: datetime


class SagaState(PurchaseOut):
    """This is a purchase with every event that it caused or consumed, oldest first."""

    history: list[HistoryEntry]

    @classmethod
    def of(cls, purchase: Purchase) -> "SagaState":
        facts = sorted(purchase.history, key=lambda fact: fact.time)
        history = [
            HistoryEntry(
                type=fact.type, service=fact.service, sequence=fact.sequence, time=fact.time
            )
            for fact in facts
        ]
        return cls(**_shown(purchase), history=history)


def _shown(purchase: Purchase) -> dict[str, Any]:
    return {
        "transaction_id": purchase.order_id,
        "state": purchase.state,
        "customer_id": purchase.customer_id,
        "vehicle_id": purchase.vehicle_id,
        "total_cents": purchase.price_cents,
        "reason": purchase.reason,
        "requested_at": purchase.requested_at,
        "cancelled_by_buyer": purchase.cancelled_by_buyer,
        "needs_attention": purchase.needs_attention,
        "payment_code": purchase.payment_code,
        "payment_code_expires_at": purchase.code_expires_at,
    }
