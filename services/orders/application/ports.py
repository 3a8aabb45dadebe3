"""The use cases need these ports: repositories, and a unit of work that publishes events."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from libs.kernel.events import DomainEvent
from services.orders.domain.deadlines import Deadlines
from services.orders.domain.order import Order
from services.orders.domain.purchase import Purchase
from services.orders.domain.states import State


@dataclass(frozen=True)
class Scope:
    """A scope holds the orders that the caller may use: all of a tenant, or those of one customer.

    An order outside the scope is not found, as if it did not exist.
    """

    tenant_id: str
    customer_id: UUID | None = None

    def holds(self, order: Order) -> bool:
        return self.tenant_id == order.tenant_id and self.customer_id in (None, order.customer_id)


class OrderRepository(Protocol):
    async def add(self, order: Order) -> None:
        """Insert a new order, with its purchase where it has one."""

    async def find(self, scope: Scope, order_id: UUID) -> Order | None: ...

    async def get(self, scope: Scope, order_id: UUID) -> Order:
        """Return the order. Raises OrderNotFound."""

    async def lock(self, scope: Scope, order_id: UUID) -> Order:
        """Return the order, locked until the transaction ends. Raises OrderNotFound."""

    async def save(self, order: Order) -> None:
        """Write the changes of an order that was locked or added before."""

    async def page(self, scope: Scope, after: UUID | None, limit: int) -> Sequence[Order]:
        """Return at most `limit` orders older than `after`, newest first."""


class PurchaseRepository(Protocol):
    async def get(self, scope: Scope, order_id: UUID) -> Purchase:
        """Return the purchase. Raises PurchaseNotFound."""

    async def lock(self, scope: Scope, order_id: UUID) -> Purchase:
        """Return the purchase and lock the row of its order. Raises PurchaseNotFound."""

    async def save(self, purchase: Purchase) -> None:
        """Write the changes of a purchase that was locked before."""

    async def page(
        self,
        scope: Scope,
        after: UUID | None,
        limit: int,
        *,
        state: State | None,
        vehicle_id: UUID | None,
    ) -> Sequence[Purchase]:
        """Return at most `limit` purchases older than `after`, newest first."""

    async def lock_due(self, limit: int) -> Sequence[Purchase]:
        """Lock and return purchases that are due by the database's clock, except those locked
        already.
        """

    async def count_open(self, tenant_id: str, customer_id: UUID) -> int:
        """Return the number of the customer's open purchases. Other transactions that count them
        wait until this one ends.
        """


class OrdersUnitOfWork(Protocol):
    """`most_open` is the number of open purchases that a customer may have."""

    deadlines: Deadlines
    most_open: int
    orders: OrderRepository
    purchases: PurchaseRepository

    def publish(self, *events: DomainEvent) -> None:
        """Publish events in this transaction."""
