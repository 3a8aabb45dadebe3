"""The repository of payments and the unit of work use Postgres."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Executable,
    Integer,
    Interval,
    RowMapping,
    bindparam,
    func,
    select,
    text,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.calls.tables import claim_due, next_attempt
from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import UnitOfWork
from services.payments.domain.errors import PaymentCodeNotFound, PaymentNotFound
from services.payments.domain.payment import AWAITING_GATEWAY, Payment, State
from services.payments.infrastructure.tables import payments

_FIELDS = tuple(field.name for field in fields(Payment) if field.name != "call_in")
_COLUMNS = [payments.c[name] for name in _FIELDS]

# Statements are built once, so that SQLAlchemy finds their compiled form by identity.
_TENANTS = select(*_COLUMNS).where(payments.c.tenant_id == bindparam("tenant"))
_BY_ID = _TENANTS.where(payments.c.payment_id == bindparam("payment"))
_BY_CODE = _TENANTS.where(payments.c.code == bindparam("typed"))
_BY_ORDER = _TENANTS.where(payments.c.order_id == bindparam("order"))
_LOCK = select(*_COLUMNS).where(payments.c.order_id == bindparam("order")).with_for_update()
_LOCK_BY_ID = _BY_ID.with_for_update()
_LOCK_BY_CODE = _BY_CODE.add_columns(
    (payments.c.expires_at <= func.now()).label("overdue")
).with_for_update()
_LOCK_OVERDUE = (
    select(*_COLUMNS)
    .where(payments.c.state == text("'PENDING'"), payments.c.expires_at <= func.now())
    .order_by(payments.c.expires_at)
    .limit(bindparam("most", type_=Integer))
    .with_for_update(skip_locked=True)
)
_CLAIM = claim_due(payments, payments.c.order_id, _COLUMNS)
_ADD = (
    insert(payments)
    .values(expires_at=func.now() + bindparam("code_lives", type_=Interval))
    .on_conflict_do_nothing(index_elements=[payments.c.order_id])
    .returning(payments.c.expires_at)
)
_TOMBSTONE = insert(payments)
# An update that changes nothing locks the existing row in the same round trip.
_ADD_OR_LOCK = _TOMBSTONE.on_conflict_do_update(
    index_elements=[payments.c.order_id], set_={"order_id": _TOMBSTONE.excluded.order_id}
).returning(*_COLUMNS)
_FIXED = ("order_id", "payment_id", "tenant_id", "customer_id", "amount_cents", "code")
_SAVE = (
    update(payments)
    .where(payments.c.order_id == bindparam("key"))
    .values(
        {name: bindparam(name) for name in _FIELDS if name not in (*_FIXED, "expires_at")}
        | {"next_attempt": next_attempt(payments), "updated_at": func.now()}
    )
)


class PostgresPayments:
    """This repository implements PaymentRepository with one statement for each method."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, payment: Payment, *, code_lives: timedelta) -> bool:
        values = _values(payment) | {"code_lives": code_lives}
        del values["expires_at"]
        row = (await self._connection.execute(_ADD, values)).first()
        if row is not None:
            payment.expires_at = row.expires_at
        return row is not None

    async def add_or_lock(self, tombstone: Payment) -> Payment:
        result = await self._connection.execute(_ADD_OR_LOCK, _values(tombstone))
        stored = _payment(result.mappings().one())
        return tombstone if stored.payment_id == tombstone.payment_id else stored

    async def lock(self, order_id: UUID) -> Payment:
        return _there(await self.find_locked(order_id))

    async def find_locked(self, order_id: UUID) -> Payment | None:
        return await self._find(_LOCK, {"order": order_id})

    async def lock_by_id(self, tenant_id: str, payment_id: UUID) -> Payment:
        key = {"tenant": tenant_id, "payment": payment_id}
        return _there(await self._find(_LOCK_BY_ID, key))

    async def lock_by_code(self, tenant_id: str, code: str) -> tuple[Payment, bool]:
        result = await self._connection.execute(_LOCK_BY_CODE, {"tenant": tenant_id, "typed": code})
        row = result.mappings().first()
        if row is None:
            raise PaymentCodeNotFound("code")
        return _payment(row), row["overdue"]

    async def lock_overdue(self, limit: int) -> Sequence[Payment]:
        return await self._many(_LOCK_OVERDUE, {"most": limit})

    async def claim_calls(self, limit: int, lease: timedelta) -> Sequence[Payment]:
        return await self._many(_CLAIM, {"most": limit, "lease": lease})

    async def save(self, *changed: Payment) -> None:
        if changed:
            await self._connection.execute(_SAVE, [_changes(payment) for payment in changed])

    async def find(self, tenant_id: str, payment_id: UUID) -> Payment | None:
        return await self._find(_BY_ID, {"tenant": tenant_id, "payment": payment_id})

    async def find_by_code(self, tenant_id: str, code: str) -> Payment | None:
        return await self._find(_BY_CODE, {"tenant": tenant_id, "typed": code})

    async def find_by_order(self, tenant_id: str, order_id: UUID) -> Payment | None:
        return await self._find(_BY_ORDER, {"tenant": tenant_id, "order": order_id})

    async def page(
        self,
        tenant_id: str,
        after: UUID | None,
        limit: int,
        *,
        state: str | None,
        needs_attention: bool | None,
    ) -> Sequence[Payment]:
        query = select(*_COLUMNS).where(payments.c.tenant_id == tenant_id)
        if state is not None:
            query = query.where(payments.c.state == state)
        if needs_attention is not None:
            query = query.where(
                payments.c.needs_attention if needs_attention else ~payments.c.needs_attention
            )
        if after is not None:
            query = query.where(payments.c.payment_id > after)
        return await self._many(query.order_by(payments.c.payment_id).limit(limit), {})

    async def _find(self, query: Executable, values: dict[str, Any]) -> Payment | None:
        row = (await self._connection.execute(query, values)).mappings().first()
        return None if row is None else _payment(row)

    async def _many(self, query: Executable, values: dict[str, Any]) -> Sequence[Payment]:
        result = await self._connection.execute(query, values)
        return [_payment(row) for row in result.mappings()]


class PostgresPaymentsUnitOfWork(UnitOfWork):
    def __init__(self, connection: AsyncConnection, outbox: Outbox) -> None:
        super().__init__(connection, outbox)
        self.payments = PostgresPayments(connection)


def _there(found: Payment | None) -> Payment:
    if found is None:
        raise PaymentNotFound
    return found


def _payment(row: RowMapping) -> Payment:
    return Payment(**{name: row[name] for name in _FIELDS} | {"state": State(row["state"])})


def _values(payment: Payment) -> dict[str, Any]:
    return {name: getattr(payment, name) for name in _FIELDS}


def _changes(payment: Payment) -> dict[str, Any]:
    values = _values(payment)
    for name in _FIXED:
        del values[name]
    del values["expires_at"]
    return values | {
        "key": payment.order_id,
        "awaits_call": payment.state in AWAITING_GATEWAY,
        "call_in": payment.call_in,
    }
