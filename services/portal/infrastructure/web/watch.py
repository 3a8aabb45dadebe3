"""One query follows all growing timelines that are watched, five times a second."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from uuid import UUID

from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from libs.messaging.database import DATABASE_ERRORS
from libs.messaging.inbox.failures import summarize
from libs.messaging.supervision import Supervisor
from services.portal.domain.timeline import Moment, PurchaseState, Timeline
from services.portal.infrastructure.identity.viewing import MayView
from services.portal.infrastructure.store.postgres import PostgresPortalUnitOfWork, Store

EVERY_SECONDS = 0.2
LATE_SECONDS = 1.0
"""A purchase is followed for this time after its last event, because queues may overtake."""
TROUBLE = (*DATABASE_ERRORS, DBAPIError, PoolTimeout)


class TimelineWatch:
    """It runs while a timeline is watched. Any pooler is good enough, as it uses no NOTIFY."""

    def __init__(self, transactions: Store) -> None:
        self._transactions = transactions
        self._watched: Counter[UUID] = Counter()
        self._positions: dict[UUID, int] = {}
        self._moved = asyncio.Condition()
        self._parts: Supervisor | None = None

    async def follow(
        self,
        tenant_id: str,
        order_id: UUID,
        after: int,
        *,
        may_view: MayView,
        stopping: asyncio.Event,
    ) -> AsyncIterator[Moment | PurchaseState | None]:
        """Yield each moment after the position `after`, as it comes; None after a second without
        one; and the state of a purchase when it is finished. The iterator ends without a state when
        `stopping` is set, and within a second or two after `may_view` says no: nothing is yielded
        after that. While the database is away it waits.
        """
        moved, finished = True, None
        async with self._watching(order_id):
            while not stopping.is_set():
                work = partial(_look, tenant_id, order_id, after if moved else None, may_view)
                try:
                    timeline, allowed = await self._transactions.read(work)
                except TROUBLE:
                    await asyncio.sleep(LATE_SECONDS)
                    continue
                if not allowed:
                    return
                for moment in timeline.moments if timeline else ():
                    after = moment.position
                    yield moment
                if timeline is not None:
                    finished = timeline.purchase.state if timeline.purchase.is_finished else None
                moved = await self._moved_beyond(order_id, after)
                if not moved:
                    yield finished
                    if finished:
                        return

    @asynccontextmanager
    async def _watching(self, order_id: UUID) -> AsyncIterator[None]:
        self._watched[order_id] += 1
        if self._parts is None:
            self._moved = asyncio.Condition()  # it belongs to the loop that watches
            self._parts = Supervisor(
                "timeline watch",
                expected=TROUBLE,
                describe=summarize,
            )
            self._parts.start("positions", self._look)
        try:
            yield
        finally:
            self._watched -= Counter({order_id: 1})
            if order_id not in self._watched:
                self._positions.pop(order_id, None)
            if not self._watched and self._parts is not None:
                parts, self._parts = self._parts, None
                await parts.stop(within=1.0)

    async def _moved_beyond(self, order_id: UUID, position: int) -> bool:
        """Return whether there is more than `position` within a second."""
        try:
            async with asyncio.timeout(LATE_SECONDS), self._moved:
                await self._moved.wait_for(lambda: self._positions.get(order_id, 0) > position)
        except TimeoutError:
            return False
        return True

    async def _look(self) -> float:
        """Tell the streams the newest positions. While this fails, they wait for the database."""
        found = await self._transactions.read(
            lambda uow: uow.timeline.positions(set(self._watched))
        )
        async with self._moved:
            self._positions.update(found)
            self._moved.notify_all()
        return EVERY_SECONDS


async def _look(
    tenant_id: str,
    order_id: UUID,
    after: int | None,
    may_view: MayView,
    uow: PostgresPortalUnitOfWork,
) -> tuple[Timeline | None, bool]:
    """Return what is after `after`, unless that is None, and whether the reader may see it. The
    permission is checked after the events are read, so that every event shown was stored while the
    reader might see it.
    """
    timeline = None if after is None else await uow.timeline.find(tenant_id, order_id, after)
    return timeline, await may_view(uow)
