"""Once a second, a relay's janitor moves the scan start, frees stuck rows and counts what waits."""

import time
from collections.abc import Callable

from libs.messaging.database import Connection
from libs.messaging.kept_connection import KeptConnection
from libs.messaging.relay.backlog import Backlog, backlog
from libs.messaging.relay.metrics import FAILING as FAILING_ROWS
from libs.messaging.relay.metrics import GIVEN_UP, OLDEST, WAITING
from libs.messaging.relay.rows import FRESH, PARKED, heads_among, transaction
from libs.messaging.relay.scan_start import ScanStart
from libs.messaging.relay.settings import RelaySettings

WINDOW = 2_000
"""One statement looks through at most this many rows."""

_BEYOND = f"CASE WHEN count(*) = {WINDOW} THEN max(seq) + 1 END"

_LOWEST_FROM = f"""
WITH {heads_among(FRESH, limit=str(WINDOW))}
SELECT min(seq) FROM heads WHERE seq = nearest
"""  # noqa: S608 - constants

_LOWEST_BELOW = f"""
WITH {heads_among(FRESH, limit=str(WINDOW), before="AND seq < $3")}
SELECT (SELECT min(seq) FROM heads WHERE seq = nearest), {_BEYOND} FROM near
"""  # noqa: S608 - constants

_FREE_STUCK = f"""
WITH {heads_among(PARKED, limit=str(WINDOW))}, freed AS (
    UPDATE outbox SET due_at = now()
    WHERE seq = ANY (ARRAY(SELECT seq FROM heads WHERE seq = nearest)) RETURNING seq
)
SELECT (SELECT min(seq) FROM freed), {_BEYOND} FROM near
"""  # noqa: S608 - constants

MOST_OF_THE_TIME = 20
"""After a sweep the janitor rests this many times as long as the sweep took, so that sweeps take a
twentieth of the time at most.
"""


class Janitor:
    """A janitor moves the scan start, frees rows that are parked behind nothing, counts what waits.

    `row_freed` is called with a row that may go.
    """

    def __init__(
        self,
        source: str,
        connection: KeptConnection,
        scan_start: ScanStart,
        settings: RelaySettings,
        *,
        row_freed: Callable[[int], None],
    ) -> None:
        self.backlog = Backlog(0, 0.0, 0, None)
        self._source = source
        self._connection = connection
        self._scan_start = scan_start
        self._settings = settings
        self._row_freed = row_freed
        self._below_from = 0
        self._stuck_from = 0

    async def step(self) -> float:
        """Run one sweep. Returns for how many seconds to rest."""
        started = time.monotonic()
        async with self._connection.use() as connection:
            await self._move_scan_start(connection)
            await self._free_stuck(connection)
            await self._count(connection)
        took = time.monotonic() - started
        return max(self._settings.sweep, MOST_OF_THE_TIME * took)

    async def _move_scan_start(self, connection: Connection) -> None:
        start = self._scan_start.seq
        async with transaction(connection):
            lowest: int | None = await connection.fetchval(_LOWEST_FROM, self._source, start)
        self._scan_start.sweep_found(lowest)
        async with transaction(connection):
            ((below, beyond),) = await connection.fetch(
                _LOWEST_BELOW, self._source, self._below_from, start
            )
        self._below_from = beyond or 0
        if below is not None:  # its transaction committed late, or another relay let it go
            self._row_freed(below)

    async def _free_stuck(self, connection: Connection) -> None:
        """Free rows that are parked behind no row: another relay deleted the row before them."""
        async with transaction(connection):
            ((freed, beyond),) = await connection.fetch(_FREE_STUCK, self._source, self._stuck_from)
        self._stuck_from = beyond or 0
        if freed is not None:
            self._row_freed(freed)

    async def _count(self, connection: Connection) -> None:
        self.backlog = now = await backlog(connection)
        WAITING.labels(self._source).set(now.rows)
        OLDEST.labels(self._source).set(now.age)
        FAILING_ROWS.labels(self._source).set(now.failing)
        GIVEN_UP.labels(self._source).set(now.given_up)
