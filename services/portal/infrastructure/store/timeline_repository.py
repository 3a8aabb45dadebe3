"""Timelines are stored in Postgres. The row of the subject orders their positions."""

from collections.abc import Collection, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Row,
    and_,
    case,
    func,
    insert,
    not_,
    or_,
    select,
    text,
)
from sqlalchemy.dialects.postgresql import insert as upsert
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.kernel.events import Direction
from services.portal.domain.sale import RESERVED, SALES, TOLD_BY, PastEvent, Sale
from services.portal.domain.timeline import (
    AWAITING_PAYMENT,
    COMPENSATING,
    STAGE_AFTER,
    STAGES,
    STUCK_AFTER,
    TURNING,
    Fact,
    Kind,
    Moment,
    Purchase,
    PurchaseState,
    Sought,
    Timeline,
)
from services.portal.infrastructure.store.paging import newest_first
from services.portal.infrastructure.tables import UNFINISHED, subjects, timeline

MILLISECOND = timedelta(milliseconds=1)
PAYOUT = "payout."


class PostgresTimeline:
    """The event types in `compensations` go back; all others go forward."""

    def __init__(self, connection: AsyncConnection, compensations: Collection[str]) -> None:
        self._connection = connection
        self._compensations = compensations
        self._facts: dict[UUID, list[Fact]] = {}

    def note(self, fact: Fact) -> None:
        self._facts.setdefault(fact.subject_id, []).append(fact)

    async def flush(self) -> None:
        """Write what was noted. Subjects are locked in the order of their ids, so that two batches
        never deadlock.
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

    async def find_purchase(self, tenant_id: str, order_id: UUID) -> Purchase | None:
        found = await self._connection.execute(
            select(subjects).where(
                subjects.c.id == order_id,
                subjects.c.tenant_id == tenant_id,
                subjects.c.kind == Kind.PURCHASE,
            )
        )
        row = found.one_or_none()
        return None if row is None else _purchase(row)

    async def search(
        self, tenant_id: str, sought: Sought, after: UUID | None, limit: int
    ) -> list[Purchase]:
        query = select(subjects).where(
            subjects.c.tenant_id == tenant_id,
            subjects.c.kind == Kind.PURCHASE,
            *_conditions(sought),
        )
        query = newest_first(query, subjects.c.id, after, limit)
        return [_purchase(row) for row in await self._connection.execute(query)]

    async def page_sales(
        self,
        tenant_id: str,
        after: UUID | None,
        limit: int,
        *,
        seller_id: UUID,
        vehicle_id: UUID | None = None,
    ) -> list[Sale]:
        query = select(subjects.c.id).where(
            subjects.c.tenant_id == tenant_id,
            subjects.c.kind == Kind.PURCHASE,
            subjects.c.seller_id == seller_id,
            subjects.c.state.in_(SALES),
        )
        query = newest_first(query, subjects.c.id, after, limit)
        if vehicle_id is not None:
            reserved = select(timeline.c.position).where(
                timeline.c.subject_id == subjects.c.id,
                timeline.c.type == RESERVED,
                timeline.c.details["vehicle_id"].astext == str(vehicle_id),
            )
            query = query.where(reserved.exists())
        ids = list((await self._connection.scalars(query)).all())
        past: dict[UUID, list[PastEvent]] = {order_id: [] for order_id in ids}
        rows = await self._connection.execute(
            select(timeline)
            .where(timeline.c.subject_id.in_(ids), timeline.c.type.in_(TOLD_BY))
            .order_by(timeline.c.subject_id, timeline.c.occurred_at, timeline.c.position)
        )
        for row in rows:
            past[row.subject_id].append(PastEvent(row.type, row.occurred_at, row.details))
        found = (Sale.of(order_id, moments) for order_id, moments in past.items())
        return [sale for sale in found if sale is not None]

    async def find(self, tenant_id: str, subject_id: UUID, after: int = 0) -> Timeline | None:
        purchase = await self.find_purchase(tenant_id, subject_id)
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
            direction=Direction.COMPENSATION if goes_back else Direction.FORWARD,
            occurred_at=row.occurred_at,
            ms=(row.occurred_at - started_at) // MILLISECOND,
            details=row.details,
        )

    async def positions(self, ids: Iterable[UUID]) -> dict[UUID, int]:
        """Return the positions of these subjects, without those of unknown ones."""
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
            "last_at": func.greatest(old.last_at, new.last_at),
            "stage": func.greatest(old.stage, new.stage),
            "turned_back": or_(old.turned_back, new.turned_back),
            "pays_until": func.coalesce(old.pays_until, new.pays_until),
            "vehicle_id": func.coalesce(old.vehicle_id, new.vehicle_id),
            "vehicle": func.coalesce(old.vehicle, new.vehicle),
            "total_cents": func.coalesce(old.total_cents, new.total_cents),
        },
    ).returning(subjects.c.id, subjects.c.position)


RAISE = _raise()


def _head(facts: Sequence[Fact]) -> dict[str, Any]:
    """Sum up these facts of one subject. An older event never overrules a newer one."""
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
        "last_at": max(fact.occurred_at for fact in facts),
        "stage": max(STAGE_AFTER.get(fact.type, 0) for fact in facts),
        "turned_back": any(fact.type in TURNING for fact in facts),
        "pays_until": _instant(_said("expires_at", facts)),
        "vehicle_id": _named("vehicle_id", facts),
        "vehicle": _vehicle(facts),
        "total_cents": _said("total_cents", facts),
    }


def _said(name: str, facts: Sequence[Fact]) -> Any:
    """Return the value of the first fact that has one, or None."""
    return next((fact.details[name] for fact in facts if fact.details.get(name)), None)


def _named(name: str, facts: Sequence[Fact]) -> UUID | None:
    found = _said(name, facts)
    return None if found is None else UUID(str(found))


def _instant(said: object) -> datetime | None:
    return datetime.fromisoformat(said) if isinstance(said, str) else None


def _vehicle(facts: Sequence[Fact]) -> str | None:
    """Return the vehicle of a purchase. A vehicle's own timeline has the name among its events."""
    names = (_said("make", facts), _said("model", facts))
    return " ".join(map(str, names)) if facts[0].kind is Kind.PURCHASE and all(names) else None


def _conditions(sought: Sought) -> Iterator[ColumnElement[bool]]:
    at = subjects.c
    if sought.stuck_at is not None or (sought.quiet_since is not None and sought.phase is None):
        yield text(UNFINISHED)  # type: ignore[misc]  # the same words as in its index
    if sought.phase is not None:
        yield _is_in(sought.phase)
    if sought.quiet_since is not None:
        yield at.last_at < sought.quiet_since
    if sought.stuck_at is not None:
        since = sought.stuck_at - STUCK_AFTER
        pays = _is_in(AWAITING_PAYMENT)
        yield at.state != PurchaseState.COMPLETED
        # An order that closed without a seller owes nobody a payout.
        yield or_(at.state != PurchaseState.CLOSED, at.seller_id.is_not(None))
        yield or_(and_(pays, at.pays_until < since), and_(not_(pays), at.last_at < since))
    if sought.among is not None:
        yield at.id.in_(list(sought.among))
    fits: list[ColumnElement[bool]] = []
    if sought.of is not None:
        fits += [column.in_(list(sought.of)) for column in (at.id, at.customer_id, at.vehicle_id)]
    if sought.words:
        name = func.lower(at.vehicle)
        fits.append(and_(*(name.contains(word.lower(), autoescape=True) for word in sought.words)))
    if fits:
        yield or_(*fits)


def _is_in(phase: str) -> ColumnElement[bool]:
    """Return the condition that matches `Purchase.phase`."""
    at = subjects.c
    if phase == COMPENSATING:
        back = and_(at.state == PurchaseState.OPEN, at.turned_back)
        return or_(at.state == PurchaseState.GIVEN_UP, back)
    if phase in STAGES:
        return and_(
            at.state == PurchaseState.OPEN, not_(at.turned_back), at.stage == STAGES.index(phase)
        )
    return at.state == phase


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
        last_at=row.last_at,
        stage=row.stage,
        turned_back=row.turned_back,
        pays_until=row.pays_until,
        vehicle_id=row.vehicle_id,
        vehicle=row.vehicle,
        total_cents=row.total_cents,
    )
