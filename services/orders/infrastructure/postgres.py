"""The repositories of orders and its unit of work.

An order and its purchase are one row: one insert begins a purchase, and closing, cancelling and
reacting to an event lock the same row.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    DateTime,
    Interval,
    Row,
    Select,
    Uuid,
    bindparam,
    func,
    insert,
    select,
    text,
    update,
)
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import UnitOfWork
from services.orders.application.ports import OrderRepository, PurchaseRepository, Scope
from services.orders.domain.deadlines import Deadlines
from services.orders.domain.errors import OrderNotFound, PurchaseNotFound
from services.orders.domain.history import Fact
from services.orders.domain.order import Order
from services.orders.domain.purchase import Purchase
from services.orders.domain.states import OPEN, State, Status
from services.orders.infrastructure.metrics import observe_outcome
from services.orders.infrastructure.tables import ORDERS

# Statements are built once, because building one costs more than sending it.
_WHICH = (
    (ORDERS.c.id == bindparam("order"))
    & (ORDERS.c.tenant_id == bindparam("tenant"))
    & (
        bindparam("customer", type_=Uuid).is_(None)
        | (ORDERS.c.customer_id == bindparam("customer"))
    )
)
_ORDER = select(ORDERS).where(_WHICH)
_ORDER_LOCKED = _ORDER.with_for_update()
_PURCHASE = _ORDER.where(ORDERS.c.state.is_not(None))
_PURCHASE_LOCKED = _PURCHASE.with_for_update()
_PURCHASES_LOCKED = (
    select(ORDERS)
    .where(
        ORDERS.c.id == func.any(bindparam("orders", type_=ARRAY(Uuid()))),
        ORDERS.c.state.is_not(None),
    )
    .order_by(ORDERS.c.id)
    .with_for_update()
)

_DUE_AT = func.coalesce(
    func.now() + bindparam("wait", type_=Interval),
    bindparam("due", type_=DateTime(timezone=True)),
)
"""A waiting time begins at the database's now; this machine's clock does not matter."""

_ADD_ORDER = insert(ORDERS)
_ADD_PURCHASE = _ADD_ORDER.values(due_at=_DUE_AT)
_SAVE_ORDER = update(ORDERS).where(ORDERS.c.id == bindparam("order"))
_SAVE_PURCHASE = _SAVE_ORDER.values(due_at=_DUE_AT)

_DUE = (
    select(ORDERS)
    .where(ORDERS.c.due_at <= func.now())
    .order_by(ORDERS.c.due_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
"""Two workers never take the same purchase; the database's clock decides what is due."""

_LOCK_CUSTOMER = text("SELECT pg_advisory_xact_lock(hashtextextended(:customer, 0))")
"""The lock is held until the commit, so that requests of one customer are counted one after the
other.
"""

_COUNT_OPEN = select(func.count()).where(
    ORDERS.c.tenant_id == bindparam("tenant"),
    ORDERS.c.customer_id == bindparam("customer"),
    ORDERS.c.state.in_(OPEN),
)


class PostgresOrders:
    def __init__(self, connection: AsyncConnection, deadlines: Deadlines) -> None:
        self._connection = connection
        self._deadlines = deadlines

    async def add(self, order: Order) -> None:
        statement = _ADD_ORDER if order.purchase is None else _ADD_PURCHASE
        await self._connection.execute(statement, _values_of_order(order))

    async def get(self, scope: Scope, order_id: UUID) -> Order:
        return await self._one(_ORDER, scope, order_id)

    async def lock(self, scope: Scope, order_id: UUID) -> Order:
        return await self._one(_ORDER_LOCKED, scope, order_id)

    async def save(self, order: Order) -> None:
        statement = _SAVE_ORDER if order.purchase is None else _SAVE_PURCHASE
        await self._connection.execute(statement, {"order": order.id, **_values_of_order(order)})

    async def page(self, scope: Scope, limit: int, after: UUID | None) -> Sequence[Order]:
        rows = await self._connection.execute(_page(_within(scope), limit, after))
        return [_order(row, self._deadlines) for row in rows]

    async def _one(self, query: Select[Any], scope: Scope, order_id: UUID) -> Order:
        found = await self._connection.execute(query, _which(scope, order_id))
        row = found.one_or_none()
        if row is None:
            raise OrderNotFound
        return _order(row, self._deadlines)


class PostgresPurchases:
    """One statement locks the purchases of a batch, and one writes those that were saved."""

    def __init__(self, connection: AsyncConnection, deadlines: Deadlines) -> None:
        self._connection = connection
        self._deadlines = deadlines
        self._locked: dict[UUID, Purchase] = {}
        self._changed: dict[UUID, Purchase] = {}

    async def lock_all(self, order_ids: Sequence[UUID]) -> None:
        """All are locked in one order, so that two batches do not deadlock. Unknown ones are left
        out.
        """
        rows = await self._connection.execute(_PURCHASES_LOCKED, {"orders": order_ids})
        self._locked.update({row.id: _purchase(row, self._deadlines) for row in rows})

    async def get(self, scope: Scope, order_id: UUID) -> Purchase:
        return await self._one(_PURCHASE, scope, order_id)

    async def lock(self, scope: Scope, order_id: UUID) -> Purchase:
        purchase = self._locked.get(order_id)
        if purchase is not None and scope.holds(purchase.tenant_id, purchase.customer_id):
            return purchase
        return await self._one(_PURCHASE_LOCKED, scope, order_id)

    async def save(self, purchase: Purchase) -> None:
        self._changed[purchase.order_id] = purchase

    def changed(self, order_id: UUID) -> Purchase | None:
        """The purchase as it was last saved; None where it was not saved."""
        return self._changed.get(order_id)

    async def flush(self) -> None:
        if self._changed:
            rows = [
                {"order": order_id, **_values_of_purchase(purchase)}
                for order_id, purchase in self._changed.items()
            ]
            await self._connection.execute(_SAVE_PURCHASE, rows if len(rows) > 1 else rows[0])

    async def page(
        self,
        scope: Scope,
        limit: int,
        after: UUID | None,
        *,
        state: State | None,
        vehicle_id: UUID | None,
    ) -> Sequence[Purchase]:
        query = _within(scope).where(ORDERS.c.state.is_not(None))
        if state is not None:
            query = query.where(ORDERS.c.state == state)
        if vehicle_id is not None:
            query = query.where(ORDERS.c.vehicle_id == vehicle_id)
        rows = await self._connection.execute(_page(query, limit, after))
        return [_purchase(row, self._deadlines) for row in rows]

    async def lock_due(self, limit: int) -> Sequence[Purchase]:
        rows = await self._connection.execute(_DUE, {"most": limit})
        return [_purchase(row, self._deadlines) for row in rows]

    async def count_open(self, tenant_id: str, customer_id: UUID) -> int:
        customer = f"open purchases of {tenant_id} {customer_id}"
        await self._connection.execute(_LOCK_CUSTOMER, {"customer": customer})
        found = await self._connection.execute(
            _COUNT_OPEN, {"tenant": tenant_id, "customer": customer_id}
        )
        return int(found.scalar_one())

    async def _one(self, query: Select[Any], scope: Scope, order_id: UUID) -> Purchase:
        found = await self._connection.execute(query, _which(scope, order_id))
        row = found.one_or_none()
        if row is None:
            raise PurchaseNotFound
        return _purchase(row, self._deadlines)


class PostgresOrdersUnitOfWork(UnitOfWork):
    def __init__(
        self, connection: AsyncConnection, outbox: Outbox, deadlines: Deadlines, most_open: int
    ) -> None:
        super().__init__(connection, outbox)
        self.deadlines = deadlines
        self.most_open = most_open
        self.orders: OrderRepository = PostgresOrders(connection, deadlines)
        self._purchases = PostgresPurchases(connection, deadlines)
        self.purchases: PurchaseRepository = self._purchases

    async def prepare_batch(self, subjects: Sequence[str]) -> None:
        await self._purchases.lock_all([UUID(subject) for subject in subjects])

    async def flush(self) -> None:
        await self._purchases.flush()

    def committed(self) -> None:
        for row in self.staged:
            purchase = self._purchases.changed(UUID(row.subject))
            if purchase is not None:
                observe_outcome(row.type, purchase)


def _which(scope: Scope, order_id: UUID) -> Mapping[str, object]:
    return {"order": order_id, "tenant": scope.tenant_id, "customer": scope.customer_id}


def _within(scope: Scope) -> Select[Any]:
    query = select(ORDERS).where(ORDERS.c.tenant_id == scope.tenant_id)
    if scope.customer_id is not None:
        query = query.where(ORDERS.c.customer_id == scope.customer_id)
    return query


def _page(query: Select[Any], limit: int, after: UUID | None) -> Select[Any]:
    """Newest first. Ids grow with time, so new rows never shift a page."""
    if after is not None:
        query = query.where(ORDERS.c.id < after)
    return query.order_by(ORDERS.c.id.desc()).limit(limit)


def _values_of_order(order: Order) -> Mapping[str, object]:
    own = {
        "id": order.id,
        "tenant_id": order.tenant_id,
        "customer_id": order.customer_id,
        "vehicle_id": order.vehicle_id,
        "total_cents": order.total_cents,
        "status": order.status,
        "version": order.version,
        "created_at": order.created_at,
    }
    return own if order.purchase is None else {**own, **_values_of_purchase(order.purchase)}


def _values_of_purchase(purchase: Purchase) -> Mapping[str, object]:
    waits = isinstance(purchase.due, timedelta)
    return {
        "state": purchase.state,
        "sequence": purchase.sequence,
        "reason": purchase.reason,
        "cancelled_by_buyer": purchase.cancelled_by_buyer,
        "seller_id": purchase.seller_id,
        "payment_code": purchase.payment_code,
        "code_expires_at": purchase.code_expires_at,
        "wait": purchase.due if waits else None,
        "due": None if waits else purchase.due,
        "history": [
            [fact.type, fact.service, fact.sequence, fact.time.isoformat()]
            for fact in purchase.history
        ],
    }


def _order(row: Row[Any], deadlines: Deadlines) -> Order:
    return Order(
        id=row.id,
        tenant_id=row.tenant_id,
        customer_id=row.customer_id,
        vehicle_id=row.vehicle_id,
        total_cents=row.total_cents,
        status=Status(row.status),
        version=row.version,
        created_at=row.created_at,
        purchase=None if row.state is None else _purchase(row, deadlines),
    )


def _moment(written: str) -> datetime:
    """Rows of older releases may hold a time without a zone, which counts as UTC."""
    moment = datetime.fromisoformat(written)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _purchase(row: Row[Any], deadlines: Deadlines) -> Purchase:
    return Purchase(
        order_id=row.id,
        tenant_id=row.tenant_id,
        customer_id=row.customer_id,
        vehicle_id=row.vehicle_id,
        total_cents=row.total_cents,
        deadlines=deadlines,
        state=State(row.state),
        sequence=row.sequence,
        reason=row.reason,
        cancelled_by_buyer=row.cancelled_by_buyer,
        seller_id=row.seller_id,
        payment_code=row.payment_code,
        code_expires_at=row.code_expires_at,
        due=row.due_at,
        history=[
            Fact(name, service, sequence, _moment(time))
            for name, service, sequence, time in row.history
        ],
    )
