"""An order is first a draft, then confirmed, then closed. One with a vehicle is a purchase."""

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.kernel.errors import StaleVersion
from services.events import PurchaseEvent
from services.orders.domain.deadlines import Deadlines
from services.orders.domain.errors import (
    IncompletePurchase,
    OrderAlreadyClosed,
    OrderNotConfirmed,
    OrderNotDraft,
    PurchaseNotFound,
)
from services.orders.domain.events import OrderClosed
from services.orders.domain.purchase import Purchase
from services.orders.domain.states import Status


@dataclass(kw_only=True)
class Order:
    """`version` counts the client's writes and is the ETag. Events of peers never change it."""

    id: UUID
    tenant_id: str
    customer_id: UUID | None
    vehicle_id: UUID | None
    created_at: datetime
    price_cents: int | None = None
    status: Status = Status.DRAFT
    version: int = 1
    purchase: Purchase | None = None

    def __post_init__(self) -> None:
        if (self.customer_id is None) != (self.vehicle_id is None):
            raise IncompletePurchase

    def check_version(self, expected: int | None) -> None:
        """Raise StaleVersion when the caller has seen another version than the current one."""
        if expected is not None and expected != self.version:
            raise StaleVersion

    def confirm(self, price_cents: int, now: datetime, deadlines: Deadlines) -> list[PurchaseEvent]:
        """Confirm the draft. A purchase begins only with a customer and a vehicle. Raises
        OrderNotDraft.
        """
        if self.status is not Status.DRAFT:
            raise OrderNotDraft(status=self.status)
        purchase = self._become_purchase(price_cents, deadlines)
        return [] if purchase is None else purchase.request(now)

    def end_lost(
        self, price_cents: int, now: datetime, deadlines: Deadlines
    ) -> list[PurchaseEvent]:
        """Begin a purchase and end it as `Purchase.end_lost` does. Raises PurchaseNotFound."""
        purchase = self._become_purchase(price_cents, deadlines)
        if purchase is None:
            raise PurchaseNotFound
        return purchase.end_lost(now)

    def close(self, now: datetime) -> list[PurchaseEvent]:
        """Close the order. Raises OrderAlreadyClosed, OrderNotConfirmed, PurchaseNotCompleted."""
        if self.status is Status.CLOSED:
            raise OrderAlreadyClosed
        if self.price_cents is None:
            raise OrderNotConfirmed
        if self.purchase is None:
            events: list[PurchaseEvent] = [self._closed_without_purchase(self.price_cents)]
        else:
            events = self.purchase.close(now)
        self.status = Status.CLOSED
        self.version += 1
        return events

    def cancel(self, now: datetime) -> list[PurchaseEvent]:
        """Cancel the purchase of the order.

        Raises PurchaseNotFound, OrderAlreadyClosed, PurchaseAlreadyFailed.
        """
        if self.purchase is None:
            raise PurchaseNotFound
        already = self.purchase.cancelled_by_buyer
        events = self.purchase.cancel(now)
        self.version += 0 if already else 1
        return events

    def _become_purchase(self, price_cents: int, deadlines: Deadlines) -> Purchase | None:
        """Confirm the order and return its purchase, or None without customer and vehicle."""
        self.status, self.price_cents = Status.CONFIRMED, price_cents
        self.version += 1
        if self.customer_id is not None and self.vehicle_id is not None:
            self.purchase = Purchase(
                order_id=self.id,
                tenant_id=self.tenant_id,
                customer_id=self.customer_id,
                vehicle_id=self.vehicle_id,
                price_cents=price_cents,
                deadlines=deadlines,
            )
        return self.purchase

    def _closed_without_purchase(self, price_cents: int) -> OrderClosed:
        """This event triggers no payout. It is the only one of its order, so its sequence is 1."""
        return OrderClosed(
            order_id=self.id,
            tenant_id=self.tenant_id,
            sequence=1,
            customer_id=None,
            vehicle_id=None,
            seller_id=None,
            total_cents=price_cents,
        )
