"""Timelines in Postgres. A subject's row gives out the positions, so they commit in their order."""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Row, case, func, insert, or_, select
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from services.portal.domain.sale import RESERVED, SALES, TOLD_BY, Heard, Sale
from services.portal.domain.timeline import (
    Direction,
    Fact,
    Kind,
    Moment,
    Purchase,
    PurchaseState,
    Timeline,
)
from services.portal.infrastructure.tables import subjects, timeline

MILLISECOND = timedelta(milliseconds=1)
PAYOUT = "payout."


class PostgresTimeline:
    """`compensations` are the event types that go back; all others go forward."""

    def __init__(self, connection: AsyncConnection, compensations: Collection[str]) -> None:
        self._connection = connection
        self._compensations = compensations
        self._facts: dict[UUID, list[Fact]] = {}

    def note(self, fact: Fact) -> None:
        self._facts.setdefault(fact.subject_id, []).append(fact)

    async def flush(self) -> None:
        """Write what was noted. Subjects in the order of their ids: no two batches can lock them
        in a circle.
        """
        if not self._facts:
            return
        heads = [_head(self._facts[subject_id]) for subject_id in sorted(self._facts)]
        raised = await self._connection.execute(RAISE, heads)
        moments: list[dict[str, Any]] = []
        for subject_id, position in raised.all():
            facts = self._facts[subject_id]
            first = position - len(facts) + 1
            moments += (_row(fact, first + n) for n, fact in enumerate(facts))
        await self._connection.execute(insert(timeline), moments)
        self._facts.clear()

    async def purchase(self, tenant_id: str, order_id: UUID) -> Purchase | None:
        found = await self._connection.execute(
            select(subjects).where(
                subjects.c.id == order_id,
                subjects.c.tenant_id == tenant_id,
                subjects.c.kind == Kind.PURCHASE,
            )
        )
        row = found.one_or_none()
        return None if row is None else _purchase(row)

    async def purchases(
        self, tenant_id: str, after: UUID | None, limit: int, customer_id: UUID | None = None
    ) -> list[Purchase]:
        query = (
            select(subjects)
            .where(subjects.c.tenant_id == tenant_id, subjects.c.kind == Kind.PURCHASE)
            .order_by(subjects.c.id.desc())
            .limit(limit)
        )
        if after is not None:
            query = query.where(subjects.c.id < after)
        if customer_id is not None:
            query = query.where(subjects.c.customer_id == customer_id)
        return [_purchase(row) for row in await self._connection.execute(query)]

    async def sales(
        self,
        tenant_id: str,
        seller_id: UUID,
        after: UUID | None,
        limit: int,
        vehicle_id: UUID | None = None,
    ) -> list[Sale]:
        query = (
            select(subjects.c.id)
            .where(
                subjects.c.tenant_id == tenant_id,
                subjects.c.kind == Kind.PURCHASE,
                subjects.c.seller_id == seller_id,
                subjects.c.state.in_(SALES),
            )
            .order_by(subjects.c.id.desc())
            .limit(limit)
        )
        if after is not None:
            query = query.where(subjects.c.id < after)
        if vehicle_id is not None:
            reserved = select(timeline.c.position).where(
                timeline.c.subject_id == subjects.c.id,
                timeline.c.type == RESERVED,
                timeline.c.details["vehicle_id"].astext == str(vehicle_id),
            )
            query = query.where(reserved.exists())
        ids = list((await self._connection.scalars(query)).all())
        heard: dict[UUID, list[Heard]] = {order_id: [] for order_id in ids}
        rows = await self._connection.execute(
            select(timeline)
            .where(timeline.c.subject_id.in_(ids), timeline.c.type.in_(TOLD_BY))
            .order_by(timeline.c.subject_id, timeline.c.occurred_at, timeline.c.position)
        )
        for row in rows:
            heard[row.subject_id].append(Heard(row.type, row.occurred_at, row.details))
        found = (Sale.of(order_id, moments) for order_id, moments in heard.items())
        return [sale for sale in found if sale is not None]

    async def of(self, tenant_id: str, subject_id: UUID, after: int = 0) -> Timeline | None:
        purchase = await self.purchase(tenant_id, subject_id)
        if purchase is None:
            return None
        rows = await self._connection.execute(
            select(timeline)
            .where(timeline.c.subject_id == subject_id, timeline.c.position > after)
            .order_by(timeline.c.position)
        )
        return Timeline(purchase, [self._moment(row, purchase.started_at) for row in rows])

    def _moment(self, row: Row[Any], started_at: datetime) -> Moment:
        goes_back = row.type in self._compensations
        return Moment(
            position=row.position,
            service=row.service,
            type=row.type,
            direction=Direction.BACK if goes_back else Direction.FORWARD,
            occurred_at=row.occurred_at,
            ms=(row.occurred_at - started_at) // MILLISECOND,
            details=row.details,
        )

    async def positions(self, ids: Iterable[UUID]) -> dict[UUID, int]:
        """How far each of these has come; those nobody has heard of are left out."""
        rows = await self._connection.execute(
            select(subjects.c.id, subjects.c.position).where(subjects.c.id.in_(list(ids)))
        )
        return {row.id: row.position for row in rows}


def _raise() -> Any:
    head = upsert(subjects)
    new, old = head.excluded, subjects.c
    return head.on_conflict_do_update(
        index_elements=[subjects.c.id],
        set_={
            "position": old.position + new.position,
            "customer_id": func.coalesce(old.customer_id, new.customer_id),
            "seller_id": func.coalesce(old.seller_id, new.seller_id),
            "state": case((new.sequence > old.sequence, new.state), else_=old.state),
            "sequence": func.greatest(old.sequence, new.sequence),
            "payout_heard": or_(old.payout_heard, new.payout_heard),
            "started_at": func.least(old.started_at, new.started_at),
        },
    ).returning(subjects.c.id, subjects.c.position)


RAISE = _raise()


def _head(facts: Sequence[Fact]) -> dict[str, Any]:
    """What these facts of one subject say about it; an older event never overrules a newer one."""
    latest = max((fact for fact in facts if fact.state), key=lambda f: f.sequence, default=None)
    return {
        "id": facts[0].subject_id,
        "tenant_id": facts[0].tenant_id,
        "kind": facts[0].kind.value,
        "customer_id": _named("customer_id", facts),
        "seller_id": _named("seller_id", facts),
        "state": (latest.state if latest else None) or PurchaseState.OPEN,
        "sequence": latest.sequence if latest else 0,
        "position": len(facts),
        "payout_heard": any(fact.type.startswith(PAYOUT) for fact in facts),
        "started_at": min(fact.occurred_at for fact in facts),
    }


def _named(name: str, facts: Sequence[Fact]) -> UUID | None:
    found = next((fact.details[name] for fact in facts if fact.details.get(name)), None)
    return None if found is None else UUID(str(found))


def _row(fact: Fact, position: int) -> dict[str, Any]:
    return {
        "subject_id": fact.subject_id,
        "position": position,
        "occurred_at": fact.occurred_at,
        "event_id": fact.event_id,
        "service": fact.service,
        "type": fact.type,
        "sequence": fact.sequence,
        "details": dict(fact.details),
    }


def _purchase(row: Row[Any]) -> Purchase:
    return Purchase(
        id=row.id,
        tenant_id=row.tenant_id,
        customer_id=row.customer_id,
        seller_id=row.seller_id,
        state=PurchaseState(row.state),
        position=row.position,
        started_at=row.started_at,
        payout_heard=row.payout_heard,
    )
