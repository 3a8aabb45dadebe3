"""A database connection that a supervised part keeps from one step to the next."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from libs.messaging.database import Connection


class KeptConnection:
    """Return the connection; open one first where there is none."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._connect = connect
        self._connection: Connection | None = None

    async def get(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._connect()
        return self._connection

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Connection]:
        """An error inside closes the connection: whatever state it was in, the next one is new."""
        try:
            yield await self.get()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close at once, without telling the server: a server that does not answer is not waited
        for.
        """
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
