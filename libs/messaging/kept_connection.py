"""A supervised part keeps a database connection from one step to the next."""

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

from libs.messaging.database import Connection


class KeptConnection:
    """`get` returns the connection, and opens one first where there is none."""

    def __init__(self, connect: Callable[[], Awaitable[Connection]]) -> None:
        self._connect = connect
        self._connection: Connection | None = None

    async def get(self) -> Connection:
        if self._connection is None or self._connection.is_closed():
            self._connection = await self._connect()
        return self._connection

    @asynccontextmanager
    async def use(self) -> AsyncIterator[Connection]:
        """Yield the connection. An error inside closes it: its state is unknown."""
        try:
            yield await self.get()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close at once, without telling the server, which may not answer."""
        if self._connection is not None:
            self._connection.terminate()
            self._connection = None
