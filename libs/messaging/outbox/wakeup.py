"""How a relay hears of new rows within milliseconds.

Nothing here runs inside the business transaction: a NOTIFY there takes a lock at commit that the
whole cluster shares. A bell that is missed costs little, the relay also looks by itself.
"""

import asyncio

from libs.messaging.database import DATABASE_ERRORS, connect
from libs.messaging.kept_connection import KeptConnection
from libs.messaging.supervision import Supervisor

CHANNEL = "outbox"

COALESCE_SECONDS = 0.01

STOP_SECONDS = 1.0


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


class Notifier(Bell):
    """A bell for relays in other processes: one NOTIFY about every ten milliseconds at most."""

    def __init__(self, database_dsn: str) -> None:
        super().__init__()
        self._connection = KeptConnection(lambda: connect(database_dsn, "outbox bell"))
        self._supervisor = Supervisor("outbox bell", expected=DATABASE_ERRORS)

    async def start(self) -> None:
        self._supervisor.start("notifier", self._notify)

    async def stop(self) -> None:
        self._supervisor.stopping.set()
        self.ring()  # ends the wait
        await self._supervisor.stop(within=STOP_SECONDS)
        self._connection.close()

    async def _notify(self) -> float:
        async with self._connection.use() as connection:
            if await self.wait(60):
                try:
                    await connection.execute(f"NOTIFY {CHANNEL}")
                except BaseException:
                    self.ring()  # the signal is spent and was not passed on
                    raise
        return COALESCE_SECONDS


class Listener:
    """Rings `bell` for each NOTIFY. Needs a direct connection: PgBouncer cannot carry LISTEN."""

    def __init__(self, database_dsn: str, bell: Bell) -> None:
        self._dsn = database_dsn
        self._bell = bell
        self._lost = asyncio.Event()
        self._supervisor = Supervisor("outbox bell", expected=DATABASE_ERRORS)

    async def start(self) -> None:
        self._supervisor.start("listener", self._listen)

    async def stop(self) -> None:
        self._supervisor.stopping.set()
        self._lost.set()  # ends the wait
        await self._supervisor.stop(within=STOP_SECONDS)

    async def _listen(self) -> None:
        """Until the connection is lost, or `stop`."""
        self._lost = lost = asyncio.Event()
        connection = await connect(self._dsn, "outbox bell")
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(CHANNEL, lambda *_: self._bell.ring())
            self._bell.ring()  # whatever came while nobody listened
            await lost.wait()
        finally:
            connection.terminate()
