"""The repositories of orders and its unit of work use Postgres.

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
from services.orders.infrastructure.tables import orders

# Statements are built once, because building one costs more than sending it.
_WHICH = (
    (orders.c.id == bindparam("order"))
    & (orders.c.tenant_id == bindparam("tenant"))
    & (
        bindparam("customer", type_=Uuid).is_(None)
        | (orders.c.customer_id == bindparam("customer"))
    )
)
_ORDER = select(orders).where(_WHICH)
_ORDER_LOCKED = _ORDER.with_for_update()
_PURCHASES_LOCKED = (
    select(orders)
    .where(
        orders.c.id == func.any(bindparam("orders", type_=ARRAY(Uuid()))),
        orders.c.state.is_not(None),
    )
    .order_by(orders.c.id)
    .with_for_update()
)

_DUE_AT = func.coalesce(
    func.now() + bindparam("wait", type_=Interval),
    bindparam("due", type_=DateTime(timezone=True)),
)
"""A waiting time begins at the database's now, so the clock of this machine does not matter."""

_ADD = insert(orders).values(due_at=_DUE_AT)
_SAVE = update(orders).where(orders.c.id == bindparam("order")).values(due_at=_DUE_AT)

_DUE = (
    select(orders)
    .where(orders.c.due_at <= func.now())
    .order_by(orders.c.due_at)
    .limit(bindparam("most"))
    .with_for_update(skip_locked=True)
)
"""Two workers never take the same purchase. The database's clock decides what is due."""

_LOCK_CUSTOMER = text("SELECT pg_advisory_xact_lock(hashtextextended(:customer, 0))")
"""The lock is held until the commit, so requests of one customer are counted one after another."""

_COUNT_OPEN = select(func.count()).where(
    orders.c.tenant_id == bindparam("tenant"),
    orders.c.customer_id == bindparam("customer"),
    orders.c.state.in_(OPEN),
)


class PostgresOrders:
    """A row is locked once in a transaction. `flush` writes the rows that were added or saved."""

    def __init__(self, connection: AsyncConnection, deadlines: Deadlines) -> None:
        self._connection = connection
        self._deadlines = deadlines
        self._locked: dict[UUID, Order] = {}
        self._added: dict[UUID, Order] = {}
        self._changed: dict[UUID, Order] = {}

    async def add(self, order: Order) -> None:
        self._added[order.id] = order

    async def find(self, scope: Scope, order_id: UUID) -> Order | None:
        found = await self.all(_ORDER, _which(scope, order_id))
        return found[0] if found else None

    async def find_locked(self, scope: Scope, order_id: UUID) -> Order | None:
        locked = self._locked.get(order_id)
        if locked is not None and scope.holds(locked):
            return locked
        found = await self.lock_all(_ORDER_LOCKED, _which(scope, order_id))
        return found[0] if found else None

    async def get(self, scope: Scope, order_id: UUID) -> Order:
        return _present(await self.find(scope, order_id))

    async def lock(self, scope: Scope, order_id: UUID) -> Order:
        return _present(await self.find_locked(scope, order_id))

    async def save(self, order: Order) -> None:
        if order.id not in self._added:
            self._changed[order.id] = order

    async def save_purchase(self, purchase: Purchase) -> None:
        await self.save(self._locked[purchase.order_id])

    async def page(self, scope: Scope, after: UUID | None, limit: int) -> Sequence[Order]:
        return await self.all(_page(_within(scope), after, limit))

    async def all(
        self, query: Select[Any], parameters: Mapping[str, object] | None = None
    ) -> Sequence[Order]:
        rows = await self._connection.execute(query, parameters)
        return [_order(row, self._deadlines) for row in rows]

    async def lock_all(
        self, query: Select[Any], parameters: Mapping[str, object]
    ) -> Sequence[Order]:
        """A row that was locked before is not read again, because it may have been changed."""
        found = await self.all(query, parameters)
        return [self._locked.setdefault(order.id, order) for order in found]

    def changed(self, order_id: UUID) -> Order | None:
        return self._changed.get(order_id)

    async def flush(self) -> None:
        added = [_values(order) for order in self._added.values()]
        changed = [{"order": key, **_values(order)} for key, order in self._changed.items()]
        for statement, rows in ((_ADD, added), (_SAVE, changed)):
            if rows:
                await self._connection.execute(statement, rows if len(rows) > 1 else rows[0])


class PostgresPurchases:
    """A purchase is a part of its order's row."""

    def __init__(self, connection: AsyncConnection, rows: PostgresOrders) -> None:
        self._connection = connection
        self._orders = rows

    async def get(self, scope: Scope, order_id: UUID) -> Purchase:
        return _purchase_of(await self._orders.find(scope, order_id))

    async def lock(self, scope: Scope, order_id: UUID) -> Purchase:
        return _purchase_of(await self._orders.find_locked(scope, order_id))

    async def lock_all(self, order_ids: Sequence[UUID]) -> None:
        """Lock all known ones in one order, so that two batches do not deadlock."""
        await self._orders.lock_all(_PURCHASES_LOCKED, {"orders": order_ids})

    async def save(self, purchase: Purchase) -> None:
        await self._orders.save_purchase(purchase)

    async def page(
        self,
        scope: Scope,
        after: UUID | None,
        limit: int,
        *,
        state: State | None,
        vehicle_id: UUID | None,
    ) -> Sequence[Purchase]:
        query = _within(scope).where(orders.c.state.is_not(None))
        if state is not None:
            query = query.where(orders.c.state == state)
        if vehicle_id is not None:
            query = query.where(orders.c.vehicle_id == vehicle_id)
        return [_purchase_of(each) for each in await self._orders.all(_page(query, after, limit))]

    async def lock_due(self, limit: int) -> Sequence[Purchase]:
        return [_purchase_of(each) for each in await self._orders.lock_all(_DUE, {"most": limit})]

    async def count_open(self, tenant_id: str, customer_id: UUID) -> int:
        customer = f"open purchases of {tenant_id} {customer_id}"
        await self._connection.execute(_LOCK_CUSTOMER, {"customer": customer})
        found = await self._connection.execute(
            _COUNT_OPEN, {"tenant": tenant_id, "customer": customer_id}
        )
        return int(found.scalar_one())


class PostgresOrdersUnitOfWork(UnitOfWork):
    def __init__(
        self, connection: AsyncConnection, outbox: Outbox, deadlines: Deadlines, most_open: int
    ) -> None:
        super().__init__(connection, outbox)
        self.deadlines = deadlines
        self.most_open = most_open
        self._orders = PostgresOrders(connection, deadlines)
        self._purchases = PostgresPurchases(connection, self._orders)
        self.orders: OrderRepository = self._orders
        self.purchases: PurchaseRepository = self._purchases

    async def prepare_batch(self, subjects: Sequence[str]) -> None:
        await self._purchases.lock_all([UUID(subject) for subject in subjects])

    async def flush(self) -> None:
        await self._orders.flush()

    def committed(self) -> None:
        for row in self.staged:
            order = self._orders.changed(UUID(row.subject))
            if order is not None and order.purchase is not None:
                observe_outcome(row.type, order.purchase)


def _present(order: Order | None) -> Order:
    if order is None:
        raise OrderNotFound
    return order


def _purchase_of(order: Order | None) -> Purchase:
    if order is None or order.purchase is None:
        raise PurchaseNotFound
    return order.purchase


def _which(scope: Scope, order_id: UUID) -> Mapping[str, object]:
    return {"order": order_id, "tenant": scope.tenant_id, "customer": scope.customer_id}


def _within(scope: Scope) -> Select[Any]:
    query = select(orders).where(orders.c.tenant_id == scope.tenant_id)
    if scope.customer_id is not None:
        query = query.where(orders.c.customer_id == scope.customer_id)
    return query


def _page(query: Select[Any], after: UUID | None, limit: int) -> Select[Any]:
    """Select newest first. Ids grow with time, so new rows never shift a page."""
    if after is not None:
        query = query.where(orders.c.id < after)
    return query.order_by(orders.c.id.desc()).limit(limit)


def _values(order: Order) -> Mapping[str, object]:
    purchase = order.purchase
    own = {
        "id": order.id,
        "tenant_id": order.tenant_id,
        "customer_id": order.customer_id,
        "vehicle_id": order.vehicle_id,
        "total_cents": order.price_cents,
        "status": order.status,
        "version": order.version,
        "created_at": order.created_at,
    }
    if purchase is None:
        return {**own, "wait": None, "due": None}
    waits = isinstance(purchase.due, timedelta)
    return {
        **own,
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
        price_cents=row.total_cents,
        status=Status(row.status),
        version=row.version,
        created_at=row.created_at,
        purchase=None if row.state is None else _purchase(row, deadlines),
    )


def _moment(written: str) -> datetime:
    """A time without a zone, as rows of older releases hold, counts as UTC."""
    moment = datetime.fromisoformat(written)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _purchase(row: Row[Any], deadlines: Deadlines) -> Purchase:
    return Purchase(
        order_id=row.id,
        tenant_id=row.tenant_id,
        customer_id=row.customer_id,
        vehicle_id=row.vehicle_id,
        price_cents=row.total_cents,
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
