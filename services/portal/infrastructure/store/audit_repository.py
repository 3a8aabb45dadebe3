"""Audits are only added to Postgres: the service's role cannot change or delete them."""

from collections.abc import AsyncIterator
from uuid import UUID

from sqlalchemy import Row, Table, insert, or_, select, text, update
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.portal.application.ports import EVERYTHING, WantedAudits
from services.portal.domain.audit import GENESIS, Audit, ChainEnd, Entry, Result
from services.portal.infrastructure.store.paging import newest_first
from services.portal.infrastructure.tables import audit_anchors, audit_heads, audits

AT_ONCE = 1_000
NAMING = ("subject", "order", "new_id")
"""These details name what an entry is about, beside its target."""


class PostgresAudits:
    def __init__(self, connection: AsyncConnection) -> None:
        self._connection = connection

    async def add(self, entry: Entry, audit_id: UUID) -> Audit:
        head = upsert(audit_heads).values(tenant_id=entry.tenant_id, sequence=0, hash=GENESIS)
        await self._connection.execute(head.on_conflict_do_nothing())
        query = select(audit_heads.c.sequence, audit_heads.c.hash).where(
            audit_heads.c.tenant_id == entry.tenant_id
        )
        row = (await self._connection.execute(query.with_for_update())).one()
        audit = Audit.after(ChainEnd(row.sequence, row.hash), entry, audit_id)
        await self._connection.execute(
            insert(audits).values(
                id=audit.id,
                tenant_id=entry.tenant_id,
                sequence=audit.sequence,
                at=entry.at,
                actor=entry.actor,
                action=entry.action,
                target=entry.target,
                result=entry.result.value,
                details=dict(entry.details),
                previous_hash=audit.previous_hash,
                hash=audit.hash,
            )
        )
        await self._connection.execute(
            update(audit_heads)
            .where(audit_heads.c.tenant_id == entry.tenant_id)
            .values(sequence=audit.sequence, hash=audit.hash)
        )
        return audit

    async def page(
        self, tenant_id: str, after: int | None, limit: int, *, wanted: WantedAudits = EVERYTHING
    ) -> list[Audit]:
        query = select(audits).where(audits.c.tenant_id == tenant_id)
        query = newest_first(query, audits.c.sequence, after, limit)
        if wanted.action:
            query = query.where(audits.c.action == wanted.action)
        if wanted.actors:
            query = query.where(audits.c.actor.in_(wanted.actors))
        if wanted.about:
            named = (audits.c.target, *(audits.c.details[name].astext for name in NAMING))
            query = query.where(or_(*(column.in_(wanted.about) for column in named)))
        if wanted.since is not None:
            query = query.where(audits.c.at >= wanted.since)
        if wanted.before is not None:
            query = query.where(audits.c.at < wanted.before)
        return [_audit(row) for row in await self._connection.execute(query)]

    async def hold(self) -> None:
        await self._connection.execute(text("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ"))
        # The lock is taken before the snapshot, so that a month is dropped before both or after the
        # end.
        await self._connection.execute(text("LOCK TABLE audits IN ACCESS SHARE MODE"))

    async def start(self, tenant_id: str) -> ChainEnd:
        return await self._end_in(audit_anchors, tenant_id)

    async def end(self, tenant_id: str) -> ChainEnd:
        return await self._end_in(audit_heads, tenant_id)

    async def entries(self, tenant_id: str) -> AsyncIterator[Audit]:
        at = 0
        while True:
            rows = await self._connection.execute(
                select(audits)
                .where(audits.c.tenant_id == tenant_id, audits.c.sequence > at)
                .order_by(audits.c.sequence)
                .limit(AT_ONCE)
            )
            found = [_audit(row) for row in rows]
            for audit in found:
                yield audit
            if len(found) < AT_ONCE:
                return
            at = found[-1].sequence

    async def _end_in(self, table: Table, tenant_id: str) -> ChainEnd:
        found = await self._connection.execute(
            select(table.c.sequence, table.c.hash).where(table.c.tenant_id == tenant_id)
        )
        row = found.one_or_none()
        return ChainEnd() if row is None else ChainEnd(row.sequence, row.hash)


def _audit(row: Row[tuple[object, ...]]) -> Audit:
    entry = Entry(
        row.tenant_id,
        row.actor,
        row.action,
        row.target,
        Result(row.result),
        row.details,
        row.at,
    )
    return Audit(row.id, entry, row.sequence, row.previous_hash, row.hash)
