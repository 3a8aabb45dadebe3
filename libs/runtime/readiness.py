"""/health: the process lives. /ready: it can do its work, or what keeps it from it."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.messaging.tables import MessagingTables
from libs.runtime.settings import ServiceSettings

log = structlog.get_logger(__name__)

SAMPLE_SECONDS = 1.0
CHECK_SECONDS = 2.0

Check = Callable[[], Awaitable[bool]]


class Readiness:
    """Looks at the database and the outbox each second, in the background; the checks of the
    broker's side are asked when /ready is."""

    def __init__(
        self, engine: AsyncEngine, tables: MessagingTables, settings: ServiceSettings
    ) -> None:
        self.checks: dict[str, Check] = {}
        self.outbox_rows = 0
        self.outbox_seconds = 0.0
        self._database = False
        self._engine = engine
        self._max_rows = settings.outbox_high_water_rows
        self._max_seconds = settings.outbox_high_water_seconds
        outbox = tables.outbox
        # Counted no further than the mark: at a million rows a full count is not free.
        counted = select(outbox.c.seq).limit(self._max_rows + 1).subquery()
        head = select(outbox.c.created_at).order_by(outbox.c.seq).limit(1).scalar_subquery()
        self._sample = select(
            select(func.count()).select_from(counted).scalar_subquery(),
            func.coalesce(func.extract("epoch", func.now() - head), 0.0),
        )

    def overload(self) -> str | None:
        """Why no writing request is taken just now; None when all are."""
        if self.outbox_rows > self._max_rows:
            return "too many events wait for the broker"
        if self.outbox_seconds > self._max_seconds:
            return "events have waited too long for the broker"
        return None

    async def report(self) -> tuple[bool, dict[str, str]]:
        """Whether all is well, and what each part says: `ok` or `down`."""
        names = list(self.checks)
        states = dict(zip(names, await asyncio.gather(*map(self._ask, names)), strict=True))
        states["database"] = self._database
        states["outbox"] = self.overload() is None
        return all(states.values()), {
            name: "ok" if well else "down" for name, well in states.items()
        }

    async def watch(self) -> None:
        """Sample until cancelled."""
        while True:
            await self.sample()
            await asyncio.sleep(SAMPLE_SECONDS)

    async def sample(self) -> None:
        try:
            async with asyncio.timeout(CHECK_SECONDS), self._engine.connect() as connection:
                rows, seconds = (await connection.execute(self._sample)).one()
        except Exception as error:  # whatever is wrong with it, the database is not usable
            if self._database:
                log.warning("database lost", error=type(error).__name__)
            self._database = False
            return
        self._database = True
        self.outbox_rows, self.outbox_seconds = rows, float(seconds)

    async def _ask(self, name: str) -> bool:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                return await self.checks[name]()
        except Exception:
            return False
