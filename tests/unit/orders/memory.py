"""Implements the ports of orders in memory. An order and its purchase are one row, as in Postgres.

Rows are stored and handed out as copies: a change that is not saved is lost, as in a database.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from services.orders.application.ports import Scope
from services.orders.domain.errors import OrderNotFound, PurchaseNotFound
from services.orders.domain.order import Order
from services.orders.domain.purchase import Purchase
from services.orders.domain.states import OPEN, State

START = datetime(2026, 1, 1, tzinfo=UTC)


@dataclass
class MemoryOrders:
    rows: dict[UUID, Order] = field(default_factory=dict)
    now: datetime = START

    async def add(self, order: Order) -> None:
        await self.save(order)

    async def find(self, scope: Scope, order_id: UUID) -> Order | None:
        order = _found(self.rows, scope, order_id)
        return order and replace(order, purchase=order.purchase and _copy(order.purchase))

    async def get(self, scope: Scope, order_id: UUID) -> Order:
        order = await self.find(scope, order_id)
        if order is None:
            raise OrderNotFound
        return order

    lock = get

    async def save(self, order: Order) -> None:
        purchase = order.purchase and _stored(order.purchase, self.now)
        self.rows[order.id] = replace(order, purchase=purchase)

    async def page(self, scope: Scope, after: UUID | None, limit: int) -> Sequence[Order]:
        raise NotImplementedError


@dataclass
class MemoryPurchases:
    rows: dict[UUID, Order] = field(default_factory=dict)
    now: datetime = START

    async def get(self, scope: Scope, order_id: UUID) -> Purchase:
        order = _found(self.rows, scope, order_id)
        if order is None or order.purchase is None:
            raise PurchaseNotFound
        return _copy(order.purchase)

    lock = get

    async def save(self, purchase: Purchase) -> None:
        order = self.rows[purchase.order_id]
        self.rows[order.id] = replace(order, purchase=_stored(purchase, self.now))

    async def page(
        self,
        scope: Scope,
        after: UUID | None,
        limit: int,
        *,
        state: State | None,
        vehicle_id: UUID | None,
    ) -> Sequence[Purchase]:
        raise NotImplementedError

    async def lock_due(self, limit: int) -> Sequence[Purchase]:
        due = [
            (order.purchase.due, _copy(order.purchase))
            for order in self.rows.values()
            if order.purchase and isinstance(order.purchase.due, datetime)
        ]
        due = sorted((each for each in due if each[0] <= self.now), key=lambda each: each[0])
        return [purchase for _, purchase in due[:limit]]

    async def count_open(self, tenant_id: str, customer_id: UUID) -> int:
        of_customer = (tenant_id, customer_id)
        return sum(
            (order.tenant_id, order.customer_id) == of_customer
            and order.purchase is not None
            and order.purchase.state in OPEN
            for order in self.rows.values()
        )


def _found(rows: dict[UUID, Order], scope: Scope, order_id: UUID) -> Order | None:
    order = rows.get(order_id)
    return order if order is not None and scope.holds(order) else None


def _copy(purchase: Purchase) -> Purchase:
    return replace(purchase, history=list(purchase.history))


def _stored(purchase: Purchase, now: datetime) -> Purchase:
    """Store a copy. Its waiting time begins at the database's now."""
    due = purchase.due
    if isinstance(due, timedelta):
        due = now + due
    return replace(purchase, due=due, history=list(purchase.history))
