"""How a relay hears of new rows within milliseconds.

Nothing here runs inside the business transaction: a NOTIFY there takes a lock at commit that the
whole cluster shares. A bell that is missed costs little, the relay also looks by itself.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable
from contextlib import suppress

from libs.messaging.database import DATABASE_ERRORS, Connection, connect

log = logging.getLogger(__name__)

CHANNEL = "outbox"

COALESCE_SECONDS = 0.01

RETRY_SECONDS = 1.0


class Bell:
    """Rung after a commit, heard by the relay of the same process. Rings before a wait count."""

    def __init__(self) -> None:
        self._rung = asyncio.Event()
        self.rings = 0

    def ring(self) -> None:
        self.rings += 1
        self._rung.set()

    async def wait(self, timeout: float) -> bool:  # noqa: ASYNC109 - a plain "at most so long"
        """True when it rang, False after `timeout` seconds. One waiter at a time."""
        try:
            async with asyncio.timeout(timeout):
                await self._rung.wait()
        except TimeoutError:
            return False
        self._rung.clear()
        return True


class _Line:
    """Keeps a connection for `use`, which runs until it is cancelled; a lost one is replaced."""

    def __init__(
        self, name: str, database_dsn: str, use: Callable[[Connection], Awaitable[None]]
    ) -> None:
        self._name = name
        self._dsn = database_dsn
        self._use = use
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        self._task = asyncio.create_task(self._run(), name=self._name)

    async def stop(self) -> None:
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    async def _run(self) -> None:
        while True:
            try:
                connection = await connect(self._dsn, "outbox bell")
                try:
                    await self._use(connection)
                finally:
                    connection.terminate()
            except DATABASE_ERRORS as error:
                log.warning("%s: %s", self._name, error)
            await asyncio.sleep(RETRY_SECONDS)


class Notifier(Bell):
    """A bell for relays in other processes: one NOTIFY about every ten milliseconds at most."""

    def __init__(self, database_dsn: str) -> None:
        super().__init__()
        line = _Line("notifier", database_dsn, self._notify_whenever_rung)
        self.start, self.stop = line.start, line.stop

    async def _notify_whenever_rung(self, connection: Connection) -> None:
        while True:
            if await self.wait(60):
                await connection.execute(f"NOTIFY {CHANNEL}")
                await asyncio.sleep(COALESCE_SECONDS)


class Listener:
    """Rings `bell` for each NOTIFY. Needs a direct connection: PgBouncer cannot carry LISTEN."""

    def __init__(self, database_dsn: str, bell: Bell) -> None:
        self._bell = bell
        line = _Line("listener", database_dsn, self._listen)
        self.start, self.stop = line.start, line.stop

    async def _listen(self, connection: Connection) -> None:
        lost = asyncio.Event()
        connection.add_termination_listener(lambda _: lost.set())
        await connection.add_listener(CHANNEL, lambda *_: self._bell.ring())
        self._bell.ring()  # whatever came while nobody listened
        await lost.wait()
