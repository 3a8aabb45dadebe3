"""/health says that the process lives. /ready says whether it can do its work, and if not, why."""

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable
from datetime import timedelta

import structlog
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.messaging.relay.backlog import Backlog, backlog
from libs.messaging.supervision import FAILED_CONNECTIONS
from libs.runtime.database import driver_of
from libs.runtime.metrics import DATABASE_SECONDS
from libs.runtime.settings import ServiceSettings

log = structlog.get_logger(__name__)

SAMPLE_SECONDS = 1.0
CHECK_SECONDS = 2.0
REMEMBERED_SECONDS = 5.0
LATENCY_SECONDS = 300.0
"""The mean time of the database's answers is taken over this many seconds."""
OK, DOWN = "ok", "down"
READ_ONLY = "read-only: nothing can be written"

# On a standby this is `on` too.
_IS_READ_ONLY = "SELECT current_setting('transaction_read_only')::boolean"

Check = Callable[[], Awaitable[bool]]
Note = Callable[[], str | None]


class Remembered:
    """This check is expensive. It is made at most once in `REMEMBERED_SECONDS`, however often
    /ready is requested.
    """

    def __init__(self, check: Check) -> None:
        self._check = check
        self._asking = asyncio.Lock()
        self._asked_at = float("-inf")
        self._answer = False

    async def __call__(self) -> bool:
        async with self._asking:
            if time.monotonic() - self._asked_at > REMEMBERED_SECONDS:
                self._answer = False
                self._asked_at = time.monotonic()
                self._answer = await self._check()
            return self._answer


class Latency:
    """A `Latency` has the times that the smallest statement took in the last minutes."""

    def __init__(self) -> None:
        self._noted: deque[tuple[float, float]] = deque()

    def note(self, seconds: float) -> None:
        DATABASE_SECONDS.observe(seconds)
        self._noted.append((time.monotonic(), seconds))
        self._forget()

    def mean(self) -> float | None:
        """Return the mean in seconds; None when nothing was measured in `LATENCY_SECONDS`."""
        self._forget()
        if not self._noted:
            return None
        return sum(seconds for _, seconds in self._noted) / len(self._noted)

    def _forget(self) -> None:
        while self._noted and self._noted[0][0] < time.monotonic() - LATENCY_SECONDS:
            self._noted.popleft()


class Readiness:
    """`Readiness` checks the database and the outbox each second, in the background. `checks` are
    asked when /ready is: the parts that this process runs. `notes` say more about a part, or what
    an operator should know although the process is ready."""

    def __init__(self, engine: AsyncEngine, settings: ServiceSettings) -> None:
        self.checks: dict[str, Check] = {}
        self.notes: dict[str, Note] = {}
        self.backlog = Backlog(0, 0.0, 0, None)
        self.latency = Latency()
        self._database = DOWN
        self._failed_connections = FAILED_CONNECTIONS.labels(f"{settings.service} pool")
        self._engine = engine
        self._max_rows = settings.outbox_high_water_rows
        self._max_age = timedelta(seconds=settings.outbox_high_water_seconds)

    def overload(self) -> str | None:
        """Say why no writing request is taken just now; None when all are.

        An event the broker refuses grows old, but only its own subject waits for it: while some
        fail, age says nothing about the rest, and the count alone decides.
        """
        age = timedelta(0) if self.backlog.failing else timedelta(seconds=self.backlog.age)
        if self.backlog.rows >= self._max_rows:
            return "too many events wait for the broker"
        if age >= self._max_age:
            return "events have waited too long for the broker"
        return None

    async def report(self) -> tuple[bool, dict[str, str]]:
        """Return whether the process is ready, and the state of each part: `ok`, `down` or why it
        cannot work, and after `: ` its note.
        """
        names = list(self.checks)
        answers = dict.fromkeys(self.notes, True)
        answers.update(zip(names, await asyncio.gather(*map(self._ask, names)), strict=True))
        answers["outbox"] = self.overload() is None
        states = {name: OK if well else DOWN for name, well in answers.items()}
        states["database"] = self._database
        well = set(states.values()) == {OK}
        return well, {name: self._with_note(name, state) for name, state in states.items()}

    async def sample(self) -> None:
        try:
            async with asyncio.timeout(CHECK_SECONDS), self._engine.connect() as connection:
                driver = await driver_of(connection)
                self.backlog = await backlog(driver)
                started = time.perf_counter()
                read_only = await driver.fetchval(_IS_READ_ONLY)
                self.latency.note(time.perf_counter() - started)
                self._note(READ_ONLY if read_only else OK)
        except Exception as error:  # whatever the error is, the database cannot be used
            self._failed_connections.inc()
            self._note(DOWN, type(error).__name__)

    def _note(self, database: str, error: str | None = None) -> None:
        if database not in (OK, self._database):
            log.warning("database lost", state=database, error=error)
        self._database = database

    def _with_note(self, name: str, state: str) -> str:
        note = self.notes[name]() if name in self.notes else None
        return f"{state}: {note}" if note else state

    async def _ask(self, name: str) -> bool:
        try:
            async with asyncio.timeout(CHECK_SECONDS):
                return await self.checks[name]()
        except Exception:
            return False
