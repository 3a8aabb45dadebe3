"""One transaction writes domain rows and outbox events together, or neither."""

from collections.abc import Awaitable, Callable, Sequence
from typing import Generic, Protocol, TypeVar

from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine

from libs.kernel.events import DomainEvent
from libs.messaging.outbox.metrics import WRITTEN
from libs.messaging.outbox.outbox import Outbox, OutboxRow

RETRIED = frozenset({"40001", "40P01"})
"""After these SQLSTATEs the same work may run again: serialization failure, deadlock."""

ATTEMPTS = 3


class UnitOfWork:
    """A unit of work is a transaction in progress. A service's subclass adds its repositories.

    Nothing here commits: `Transactions.run` does, once, when the work returns.
    """

    def __init__(self, connection: AsyncConnection, outbox: Outbox) -> None:
        self.connection = connection
        self._outbox = outbox
        self.staged: list[OutboxRow] = []

    def publish(self, *events: DomainEvent) -> None:
        """Publish events with this transaction; they are written just before it commits."""
        self.staged.extend(self._outbox.stage(event) for event in events)

    async def prepare_batch(self, subjects: Sequence[str]) -> None:
        """Do nothing; an override locks all subjects' rows at once, before a batch."""

    async def flush(self) -> None:
        """Write what repositories have deferred; runs once, before the outbox is written."""

    def committed(self) -> None:
        """Count what happened; runs once, after the commit."""


class Copy(Protocol):
    """This is a copy of the database for reading. `engine` is None while it cannot be used."""

    @property
    def engine(self) -> AsyncEngine | None: ...

    def has_failed(self, error: Exception) -> bool: ...


Unit = TypeVar("Unit", bound=UnitOfWork)
Result = TypeVar("Result")


class Transactions(Generic[Unit]):
    """`Transactions` opens a transaction, writes the outbox, commits and wakes the relay."""

    def __init__(
        self,
        engine: AsyncEngine,
        outbox: Outbox,
        unit_of_work: Callable[[AsyncConnection, Outbox], Unit],
        *,
        after_commit: Callable[[], None] = lambda: None,
        copy: Copy | None = None,
    ) -> None:
        self.engine = engine
        self.outbox = outbox
        self._unit_of_work = unit_of_work
        self.after_commit = after_commit
        self._copy = copy

    async def run(self, work: Callable[[Unit], Awaitable[Result]]) -> Result:
        """Run `work` and commit. After a deadlock or a serialization failure the whole work runs
        again, at most three times in all. A commit whose outcome is unknown is never repeated.
        """
        attempt = 1
        while True:
            try:
                return await self._once(work)
            except DBAPIError as error:
                if getattr(error.orig, "sqlstate", None) not in RETRIED or attempt == ATTEMPTS:
                    raise
            attempt += 1

    async def read(self, work: Callable[[Unit], Awaitable[Result]]) -> Result:
        """Run `work`, which only reads. Each statement sees what is committed when it runs. There
        are no round trips for BEGIN and COMMIT. Raises RuntimeError when `work` publishes an event.
        """
        return await self._read(self.engine, work)

    async def read_behind(self, work: Callable[[Unit], Awaitable[Result]]) -> Result:
        """Run `work` as `read` does, but on a copy of the database where there is one that is
        current. What was written seconds ago may be missing. When the copy fails, `work` runs again
        on the database itself.
        """
        copied = self._copy.engine if self._copy else None
        if self._copy is not None and copied is not None:
            try:
                return await self._read(copied, work)
            except Exception as error:
                if not self._copy.has_failed(error):
                    raise
        return await self._read(self.engine, work)

    async def _read(self, engine: AsyncEngine, work: Callable[[Unit], Awaitable[Result]]) -> Result:
        statements = engine.execution_options(isolation_level="AUTOCOMMIT")
        async with statements.connect() as connection:
            unit = self._unit_of_work(connection, self.outbox)
            result = await work(unit)
        if unit.staged:
            raise RuntimeError("an event published while only reading is not written: use `run`")
        return result

    async def _once(self, work: Callable[[Unit], Awaitable[Result]]) -> Result:
        async with self.engine.begin() as connection:
            unit = self._unit_of_work(connection, self.outbox)
            result = await work(unit)
            await unit.flush()
            await self.outbox.write(connection, unit.staged)
        if unit.staged:
            self.after_commit()
        for row in unit.staged:
            WRITTEN.labels(self.outbox.service, row.type).inc()
        unit.committed()
        return result
