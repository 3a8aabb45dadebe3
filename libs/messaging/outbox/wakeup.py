"""A wake-up signal tells a relay of new rows within milliseconds.

Nothing here runs inside the business transaction, because a NOTIFY there takes a lock at commit
that the whole cluster shares. A lost signal costs at most a second: the relay also polls.
"""

import asyncio

from libs.messaging.database import DATABASE_ERRORS, connect
from libs.messaging.database_url import Dsn
from libs.messaging.kept_connection import KeptConnection
from libs.messaging.supervision import Supervisor

CHANNEL = "outbox"

COALESCE_SECONDS = 0.01

STOP_SECONDS = 1.0


class WakeUp:
    """A commit is followed by a signal, and the relay of the same process waits for it.

    A signal that comes before `wait` is not lost.
    """

    def __init__(self) -> None:
        self._signalled = asyncio.Event()
        self.signals = 0

    def signal(self) -> None:
        self.signals += 1
        self._signalled.set()

    async def wait(self, timeout: float) -> bool:  # noqa: ASYNC109 - a plain "at most so long"
        """Return True after a signal, False after `timeout` seconds. One waiter at a time."""
        try:
            async with asyncio.timeout(timeout):
                await self._signalled.wait()
        except TimeoutError:
            return False
        self._signalled.clear()
        return True


class Notifier(WakeUp):
    """A notifier wakes relays in other processes: at most one NOTIFY every ten milliseconds."""

    def __init__(self, database_dsn: Dsn) -> None:
        super().__init__()
        self._connection = KeptConnection(lambda: connect(database_dsn, "outbox wake-up"))
        self._supervisor = Supervisor("outbox wake-up", expected=DATABASE_ERRORS)

    async def start(self) -> None:
        self._supervisor.start("notifier", self._notify)

    async def stop(self) -> None:
        self._supervisor.stopping.set()
        self.signal()  # ends the wait
        await self._supervisor.stop(within=STOP_SECONDS)
        self._connection.close()

    async def _notify(self) -> float:
        async with self._connection.use() as connection:
            if await self.wait(60):
                try:
                    await connection.execute(f"NOTIFY {CHANNEL}")
                except BaseException:
                    self.signal()  # the signal was taken and not passed on
                    raise
        return COALESCE_SECONDS


class Listener:
    """A listener passes each NOTIFY on to `wake_up`.

    It needs a direct connection, because PgBouncer cannot carry LISTEN.
    """

    def __init__(self, database_dsn: Dsn, wake_up: WakeUp) -> None:
        self._dsn = database_dsn
        self._wake_up = wake_up
        self._lost = asyncio.Event()
        self._supervisor = Supervisor("outbox wake-up", expected=DATABASE_ERRORS)

    async def start(self) -> None:
        self._supervisor.start("listener", self._listen)

    async def stop(self) -> None:
        self._supervisor.stopping.set()
        self._lost.set()  # ends the wait
        await self._supervisor.stop(within=STOP_SECONDS)

    async def _listen(self) -> None:
        """Listen until the connection is lost or `stop` is called."""
        self._lost = lost = asyncio.Event()
        connection = await connect(self._dsn, "outbox wake-up")
        try:
            connection.add_termination_listener(lambda _: lost.set())
            await connection.add_listener(CHANNEL, lambda *_: self._wake_up.signal())
            self._wake_up.signal()  # for what was signalled while nobody listened
            await lost.wait()
        finally:
            connection.terminate()
