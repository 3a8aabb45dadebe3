"""The repository of payouts and the unit of work use Postgres."""

from collections.abc import Sequence
from dataclasses import fields
from datetime import timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Executable,
    RowMapping,
    bindparam,
    exists,
    func,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.calls.tables import IN_A_WHILE, claim_due, next_attempt
from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import UnitOfWork
from services.payouts.domain.errors import PayoutNotFound
from services.payouts.domain.payout import Payout, Status
from services.payouts.infrastructure.tables import payouts

_FIELDS = tuple(field.name for field in fields(Payout) if field.name != "call_in")
_COLUMNS = [payouts.c[name] for name in _FIELDS]
_FIXED = (
    *("payout_id", "tenant_id", "external_id"),
    *("amount_cents", "seller_id", "order_id"),
)

# Statements are built once, so that SQLAlchemy finds their compiled form by identity.
_OF_THAT_ID = (payouts.c.tenant_id == bindparam("tenant")) & (
    payouts.c.external_id == bindparam("external")
)
_WAS_PROCESSED = select(exists(select(literal(1)).where(_OF_THAT_ID)))
_GET = select(*_COLUMNS).where(_OF_THAT_ID)
_LOCK_BY_EXTERNAL_ID = _GET.with_for_update()
_LOCK = select(*_COLUMNS).where(payouts.c.payout_id == bindparam("payout")).with_for_update()
_ADD = (
    insert(payouts)
    .values(next_attempt=IN_A_WHILE)
    .on_conflict_do_nothing()  # an order's payout may conflict in its id or its order
    .returning(literal(1))
)
_CLAIM = claim_due(payouts, payouts.c.payout_id, _COLUMNS)
_SAVE = (
    update(payouts)
    .where(payouts.c.payout_id == bindparam("key"))
    .values(
        {name: bindparam(name) for name in _FIELDS if name not in _FIXED}
        | {"next_attempt": next_attempt(payouts), "updated_at": func.now()}
    )
)


class PostgresPayouts:
    """This repository implements PayoutRepository with one statement for each method."""

    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def was_processed(self, tenant_id: str, external_id: str) -> bool:
        found = await self._connection.execute(_WAS_PROCESSED, _id(tenant_id, external_id))
        return bool(found.scalar_one())

    async def add(self, payout: Payout) -> bool:
        values = _values(payout) | {"call_in": payout.call_in}
        return (await self._connection.execute(_ADD, values)).first() is not None

    async def get(self, tenant_id: str, external_id: str) -> Payout:
        return await self._one(_GET, _id(tenant_id, external_id))

    async def lock(self, payout_id: UUID) -> Payout:
        return await self._one(_LOCK, {"payout": payout_id})

    async def lock_by_external_id(self, tenant_id: str, external_id: str) -> Payout:
        return await self._one(_LOCK_BY_EXTERNAL_ID, _id(tenant_id, external_id))

    async def claim_calls(self, limit: int, lease: timedelta) -> Sequence[Payout]:
        return await self._many(_CLAIM, {"most": limit, "lease": lease})

    async def save(self, payout: Payout) -> None:
        values = {name: value for name, value in _values(payout).items() if name not in _FIXED}
        await self._connection.execute(
            _SAVE,
            values
            | {
                "key": payout.payout_id,
                "awaits_call": payout.status is Status.PENDING,
                "call_in": payout.call_in,
            },
        )

    async def page(
        self,
        tenant_id: str,
        after: UUID | None,
        limit: int,
        *,
        seller_id: UUID | None,
        status: Status | None,
        needs_attention: bool | None,
    ) -> Sequence[Payout]:
        query = select(*_COLUMNS).where(payouts.c.tenant_id == tenant_id)
        if seller_id is not None:
            query = query.where(payouts.c.seller_id == seller_id)
        if status is not None:
            query = query.where(payouts.c.status == status)
        if needs_attention is not None:
            query = query.where(
                payouts.c.needs_attention if needs_attention else ~payouts.c.needs_attention
            )
        if after is not None:
            query = query.where(payouts.c.payout_id < after)
        return await self._many(query.order_by(payouts.c.payout_id.desc()).limit(limit), {})

    async def _one(self, query: Executable, values: dict[str, Any]) -> Payout:
        row = (await self._connection.execute(query, values)).mappings().first()
        if row is None:
            raise PayoutNotFound
        return _payout(row)

    async def _many(self, query: Executable, values: dict[str, Any]) -> Sequence[Payout]:
        result = await self._connection.execute(query, values)
        return [_payout(row) for row in result.mappings()]


class PostgresPayoutsUnitOfWork(UnitOfWork):
    def __init__(self, connection: AsyncConnection, outbox: Outbox) -> None:
        super().__init__(connection, outbox)
        self.payouts = PostgresPayouts(connection)


def _id(tenant_id: str, external_id: str) -> dict[str, str]:
    return {"tenant": tenant_id, "external": external_id}


def _payout(row: RowMapping) -> Payout:
    stored: dict[str, Any] = {name: row[name] for name in _FIELDS}
    return Payout(**stored | {"status": Status(row["status"]), "call_in": None})


def _values(payout: Payout) -> dict[str, Any]:
    return {name: getattr(payout, name) for name in _FIELDS}
