"""Inbox and outbox archive have daily partitions: made days ahead, dropped when they are old.

    upkeep = PartitionUpkeep(
        "orders", database_dsn="postgresql://…", window=InboxWindow(), retention=None
    )
    await upkeep.start()    # returns when it has looked once: start relay and subscriber after it
    upkeep.problems         # empty when all is well: readiness
    await upkeep.stop()

The work is done by a function in the database that belongs to the tables' owner, so that the
service's own role needs no right to create or drop anything. Any number of processes may do it: a
lock in the database lets one at a time.
"""

import asyncio
import logging
import math
import re
import time
from collections.abc import Awaitable, Callable
from contextlib import suppress
from datetime import timedelta

import asyncpg
from prometheus_client import Gauge

from libs.messaging.database import DATABASE_ERRORS, Connection, connect
from libs.messaging.database_url import Dsn
from libs.messaging.schema.inbox_window import InboxWindow
from libs.messaging.supervision import Supervisor

log = logging.getLogger(__name__)

DAYS_AHEAD = 7
EVERY_SECONDS = 3600.0
AGAIN_SECONDS = 300.0
"""Upkeep that failed has this pause. Each attempt can keep others from a table for two seconds,
while it waits for the table's lock.
"""
TOLERATED_SECONDS = 86_400.0
STOP_SECONDS = 5.0

KEPT_AT = Gauge(
    "partitions_kept_timestamp_seconds",
    "When the partitions were last seen to be made ahead and dropped behind; 0 before",
    ["service"],
)

_PARTITION = re.compile(r"(inbox|outbox_archive)_(\d{8}|default)")


def include_name(name: str | None, kind: str, _parents: object = None) -> bool:
    """Tell Alembic's `include_name` that partitions are not in the metadata."""
    return not (kind == "table" and name is not None and _PARTITION.fullmatch(name))


async def maintain(
    connection: Connection, *, keep_archive: timedelta | None, keep_inbox: timedelta
) -> list[str]:
    """Make the coming days' partitions and drop those that ended longer ago than asked.

    With `keep_archive` None nothing is archived: old partitions go as soon as their day is over.
    Returns what could not be done, a sentence each. Raises asyncpg.LockNotAvailableError when a
    table was busy for two seconds. Call again minutes later in both cases.

    Each day has a transaction of its own: nobody else can use a table from the moment it gets a
    partition to the end of the transaction.
    """
    problems: list[str] = []
    for ahead in range(-1, DAYS_AHEAD + 1):
        rows = await connection.fetch(
            "SELECT messaging_maintain_partitions($1, $2, $3)",
            ahead,
            0 if keep_archive is None else _whole_days(keep_archive),
            _whole_days(keep_inbox),
        )
        problems = [row[0] for row in rows]
    return problems


Maintain = Callable[[Connection], Awaitable[list[str]]]
"""Such a function maintains partitions of one kind; it returns and raises as `maintain` does."""


class PartitionUpkeep:
    """The upkeep calls `maintain` at the start, then once an hour. `window` is the subscriber's,
    and `retention` the relay's. `own` does the same for partitioned tables of the service.
    """

    def __init__(
        self,
        service: str,
        *,
        database_dsn: Dsn,
        window: InboxWindow,
        retention: timedelta | None,
        own: Maintain | None = None,
    ) -> None:
        self._service = service
        self._dsn = database_dsn
        self._window = window
        self._retention = retention
        self._maintained = [self._messages] if own is None else [self._messages, own]
        self._failures: list[str] = ["the partitions were not looked at yet"]
        self._succeeded_at = -math.inf
        self._pause = 0.0
        self._kept_at = KEPT_AT.labels(service)
        self._parts = Supervisor(f"{service} partitions", expected=DATABASE_ERRORS)

    @property
    def problems(self) -> tuple[str, ...]:
        """Say why the process is not ready: no upkeep has succeeded since its start, or for a day.

        One failure says nothing: partitions are made a week ahead, and a backup can keep a table
        busy for an hour.
        """
        if time.monotonic() - self._succeeded_at < TOLERATED_SECONDS:
            return ()
        return (*self._failures, *self._parts.problems.values())

    async def start(self) -> None:
        """Look once, then go on in the background, also where the database is away."""
        with suppress(*DATABASE_ERRORS):
            await self._maintain()
        self._parts.start("upkeep", self._wait_and_maintain)

    async def stop(self) -> None:
        await self._parts.stop(within=STOP_SECONDS)

    async def _wait_and_maintain(self) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(self._pause):
                await self._parts.stopping.wait()
                return
        await self._maintain()

    async def _messages(self, connection: Connection) -> list[str]:
        return await maintain(
            connection, keep_archive=self._retention, keep_inbox=self._window.kept
        )

    async def _maintain(self) -> None:
        # When the server goes away the next attempt comes at once: no table is locked then.
        self._pause = 0.0
        connection = await connect(self._dsn, f"{self._service} partitions")
        failures: list[str] = []
        try:
            for each in self._maintained:
                try:
                    failures += await each(connection)
                except (asyncpg.OperatorInterventionError, asyncpg.PostgresConnectionError):
                    raise
                except asyncpg.PostgresError as error:
                    failures.append(str(error))
        finally:
            await connection.close(timeout=2.0)
        for sentence in failures:
            if sentence not in self._failures:
                log.warning("%s partitions: %s", self._service, sentence)
        self._failures = failures
        self._pause = AGAIN_SECONDS if failures else EVERY_SECONDS
        if not failures:
            self._succeeded_at = time.monotonic()
            self._kept_at.set_to_current_time()


def _whole_days(span: timedelta) -> int:
    return span.days + (span % timedelta(days=1) > timedelta(0))
