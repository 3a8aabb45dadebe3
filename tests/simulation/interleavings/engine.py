"""Shows the same database through SQLAlchemy: the part that transactions and inbox use."""

from collections import namedtuple
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from typing import Any

import asyncpg
from sqlalchemy.exc import DBAPIError

from tests.simulation.interleavings.postgres import Postgres, Session

_Known = namedtuple("_Known", ("message_id", "payload_hash"))  # noqa: PYI024 - two of any type


class Engine:
    """An `Engine` gives each user a session of its own."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres

    @asynccontextmanager
    async def begin(self) -> AsyncIterator["Connection"]:
        async with self.connect() as connection:
            await connection.exec_driver_sql("BEGIN")
            try:
                yield connection
            except Exception:
                await connection.exec_driver_sql("ROLLBACK")
                raise
            await connection.exec_driver_sql("COMMIT")

    @asynccontextmanager
    async def connect(self) -> AsyncIterator["Connection"]:
        with _as_sqlalchemy_tells():
            session = await self._postgres.connect()
        try:
            yield Connection(session)
        finally:
            session.terminate()


class Connection:
    def __init__(self, session: Session) -> None:
        self._session = session

    async def exec_driver_sql(self, statement: str, parameters: Sequence[Any] = ()) -> "Result":
        with _as_sqlalchemy_tells():
            return Result(await self._session.fetch(statement, *parameters))

    async def scalar(self, statement: object) -> Any:
        with _as_sqlalchemy_tells():
            return await self._session.fetchval(str(statement))

    async def invalidate(self) -> None:
        self._session.terminate()


class Result:
    def __init__(self, rows: Any) -> None:
        self._rows = rows

    def scalars(self) -> "Scalars":
        return Scalars(row[0] for row in self._rows)

    def __iter__(self) -> Iterator[Any]:
        return (_Known(*row) for row in self._rows)


class Scalars(list[Any]):
    def one(self) -> Any:
        (value,) = self
        return value


@contextmanager
def _as_sqlalchemy_tells() -> Iterator[None]:
    try:
        yield
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
        lost = not isinstance(error, asyncpg.DeadlockDetectedError)
        raise DBAPIError("", {}, error, connection_invalidated=lost) from error
