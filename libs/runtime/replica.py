"""Lists and figures are read from a standby of the database while it keeps up.

Where it is behind or gone, the database itself answers, and readiness and the log say why.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable

import structlog
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.messaging.database import DATABASE_ERRORS, Connection, connect
from libs.messaging.database_url import Dsn
from libs.messaging.inbox.failures import is_infrastructure_error, sqlstate, summarize
from libs.messaging.kept_connection import KeptConnection
from libs.messaging.supervision import Supervisor
from libs.runtime.database import NOTHING_PREPARED, engine_of
from libs.runtime.settings import ServiceSettings

LAG_SECONDS = 5.0
"""A standby that is further behind than this is not read from."""
LOOK_SECONDS = 1.0
POOL = 5
STATEMENT_SECONDS = 3.0
"""A statement that takes longer on the standby is run again on the database itself."""
ANSWER_SECONDS = 2.0
RECOVERY_CONFLICT = "40001"
"""SQLSTATE: the standby has removed rows that the statement needed, because it replays the log."""

_WRITTEN = text("SELECT pg_current_wal_lsn() - '0/0'::pg_lsn")
_REPLAYED = "SELECT pg_is_in_recovery(), pg_last_wal_replay_lsn() - '0/0'::pg_lsn"

log = structlog.get_logger(__name__)


class Lag:
    """The lag of a standby is the time since something was written that it does not have."""

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._missing: deque[tuple[float, int]] = deque()

    def written(self, position: int) -> None:
        """Note the current position of the database's log."""
        self._missing.append((self._clock(), position))

    def seconds(self, replayed: int) -> float:
        """Return how far behind a standby is that has reached this position."""
        while self._missing and self._missing[0][1] <= replayed:
            self._missing.popleft()
        return self._clock() - self._missing[0][0] if self._missing else 0.0


class Replica:
    """After `start` the standby is checked once a second. Before that, and while `trouble` says
    why, it is not read from. `primary` connects to the database that it is a copy of.
    """

    def __init__(self, settings: ServiceSettings, dsn: Dsn, primary: AsyncEngine) -> None:
        self.trouble: str | None = "not looked at yet"
        self.dsn = dsn
        name = f"{settings.service}-replica"
        self._engine = engine_of(
            dsn,
            pool_size=POOL,
            max_overflow=0,
            pool_timeout=STATEMENT_SECONDS,
            options={
                "command_timeout": STATEMENT_SECONDS,
                "server_settings": {"application_name": name},
                **NOTHING_PREPARED,  # the standby may be behind a PgBouncer too
            },
        )
        self._primary = primary
        self._lag = Lag()
        self._connection = KeptConnection(lambda: connect(self.dsn, name))
        self._parts = Supervisor("replica")

    @property
    def engine(self) -> AsyncEngine | None:
        """Return the pool of the standby; None while it must not be read from."""
        return None if self.trouble else self._engine

    def has_failed(self, error: BaseException) -> bool:
        """Return whether the error is the standby's and not the statement's own: then nothing is
        read from it until it has been looked at again.
        """
        if sqlstate(error) == RECOVERY_CONFLICT:  # the next statement may succeed
            return True
        if not is_infrastructure_error(error):
            return False
        self._note(summarize(error))
        return True

    def note(self) -> str | None:
        """Say why the database itself is read from. Readiness stays green."""
        return f"the database itself is read from: {self.trouble}" if self.trouble else None

    async def start(self) -> None:
        await self._look()
        self._parts.start("look", self._look)

    async def stop(self) -> None:
        await self._parts.stop(within=0)
        self._connection.close()
        await self._engine.dispose()

    async def _look(self) -> float:
        try:
            await self._ask_primary()
            async with asyncio.timeout(ANSWER_SECONDS), self._connection.use() as connection:
                self._note(await self._judge(connection))
        except DATABASE_ERRORS as error:
            self._note(f"no standby answers: {summarize(error)}")
        return LOOK_SECONDS

    async def _ask_primary(self) -> None:
        """A database that is away writes nothing, so what the standby has is then the newest."""
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self._primary.connect() as connection:
                self._lag.written(int(await connection.scalar(_WRITTEN)))
        except (DBAPIError, PoolTimeout, *DATABASE_ERRORS):
            return

    async def _judge(self, connection: Connection) -> str | None:
        [row] = await connection.fetch(_REPLAYED)
        if not row[0]:
            return "it is no standby"
        behind = self._lag.seconds(int(row[1] or 0))
        return f"{behind:.0f} s behind" if behind > LAG_SECONDS else None

    def _note(self, trouble: str | None) -> None:
        if trouble and not self.trouble:
            log.warning("standby not read from", reason=trouble)
        elif self.trouble and not trouble:
            log.info("standby read from")
        self.trouble = trouble
