"""Simulates a database with the interface of asyncpg: sessions, transactions, row locks, NOTIFY.

A statement is one step on the server, at the moment when it arrives there. It skips locked rows or
waits for them, and sees no uncommitted change of others. It runs even when its client no longer
waits for the answer. `statements.py` says what each statement does.
"""

import asyncio
from collections.abc import Callable, Coroutine
from contextvars import copy_context
from typing import Any

import asyncpg

from tests.simulation.interleavings import statements
from tests.simulation.interleavings.loop import HERE, SeededLoop
from tests.simulation.interleavings.network import FAST, Host, Line

COMMAND_SECONDS = 15.0
Key = tuple[str, Any]
"""A table and the key of a row in it."""


class Postgres:
    """`tables` hold what is committed. `faults` is the chance that a statement meets a fault: the
    session ends before or after it, or a deadlock undoes the transaction. `on_commit` is called
    with the changes of a transaction just before others see them.
    """

    def __init__(self, loop: SeededLoop) -> None:
        self.loop = loop
        self.tables: dict[str, dict[Any, Any]] = {}
        self.sequence = 0
        self.faults = 0.0
        self.is_away = False
        self.on_commit: Callable[[Server], None] = lambda _: None
        self.locks: dict[Key, Server] = {}
        self.listeners: set[Session] = set()
        self.sessions: dict[Session, None] = {}
        self.context = copy_context()
        self.context.run(HERE.set, Host("postgres"))
        self._freed = asyncio.Event()

    async def connect(self, *_: Any, **__: Any) -> "Session":
        await asyncio.sleep(self.loop.random.uniform(*FAST))
        if self.is_away or HERE.get().is_dead:
            raise ConnectionRefusedError("the database is away")
        session = Session(self)
        self.sessions[session] = None
        return session

    def restart(self) -> None:
        """End every session."""
        for session in list(self.sessions):
            session.line.cut()

    def free(self, server: "Server") -> None:
        for key in [key for key, owner in self.locks.items() if owner is server]:
            del self.locks[key]
        freed, self._freed = self._freed, asyncio.Event()
        freed.set()

    async def some_lock_is_freed(self) -> None:
        await self._freed.wait()


class Server:
    """A `Server` is the server's side of one session."""

    def __init__(self, postgres: Postgres, session: "Session") -> None:
        self.postgres = postgres
        self.session = session
        self.in_transaction = False
        self.changes: dict[Key, Any] = {}
        self.notifies = False

    @property
    def now(self) -> float:
        return self.postgres.loop.time()

    def rows(self, table: str) -> dict[Any, Any]:
        """Return the rows as this transaction sees them."""
        found = dict(self.postgres.tables.get(table, {}))
        for (name, key), row in self.changes.items():
            if name == table:
                found[key] = row
        return {key: row for key, row in sorted(found.items()) if row is not None}

    def put(self, table: str, key: Any, row: Any) -> None:
        """Write a row, or delete it when `row` is None."""
        self.changes[table, key] = row

    def try_lock(self, table: str, key: Any) -> bool:
        return self.postgres.locks.setdefault((table, key), self) is self

    async def lock(self, table: str, key: Any) -> None:
        while not self.try_lock(table, key):
            await self.postgres.some_lock_is_freed()

    def commit(self) -> None:
        self.postgres.on_commit(self)
        for (table, key), row in self.changes.items():
            rows = self.postgres.tables.setdefault(table, {})
            rows.pop(key, None) if row is None else rows.update({key: row})
        if self.notifies:
            for listener in sorted(self.postgres.listeners, key=lambda each: each.number):
                listener.line.send(listener.notified, to_server=False)
        self.rollback()

    def rollback(self) -> None:
        self.in_transaction = self.notifies = False
        self.changes.clear()
        self.postgres.free(self)


class Session:
    """A `Session` is what asyncpg calls a connection."""

    def __init__(self, postgres: Postgres) -> None:
        self._postgres = postgres
        self._loop = postgres.loop
        self._server = Server(postgres, self)
        self._closed = False
        self._working: asyncio.Task[None] | None = None
        self._answer: asyncio.Future[Any] | None = None
        self._on_end: Callable[[Any], None] = lambda _: None
        self._on_notify: Callable[..., None] = lambda *_: None
        self.number = next(postgres.loop.numbers)
        self.host = HERE.get()
        self.line: Line = self.host.line(postgres.loop)
        self.line.lost.extend((self._lost, self._ends))

    def __hash__(self) -> int:
        return self.number

    def is_closed(self) -> bool:
        return self._closed

    def get_server_version(self) -> tuple[int, int]:
        return 17, 0

    def add_termination_listener(self, told: Callable[[Any], None]) -> None:
        self._on_end = told

    async def add_listener(self, _: str, told: Callable[..., None]) -> None:
        self._on_notify = told
        await self._ask(self._listen)

    async def execute(self, statement: str, *arguments: Any) -> str:
        return str(await self.fetch(statement, *arguments))

    async def fetchval(self, statement: str, *arguments: Any) -> Any:
        return await self.fetch(statement, *arguments)

    async def fetch(self, statement: str, *arguments: Any) -> Any:
        return await self._ask(lambda: statements.run(self._server, statement, arguments))

    def notified(self) -> None:
        if not self._closed:
            self._on_notify()

    def terminate(self) -> None:
        if not self._closed:
            self._closed = True
            self.line.send(self._ends, to_server=True)
            self._fail()

    async def _ask(self, work: Callable[[], Coroutine[Any, Any, Any]]) -> Any:
        if self._closed:
            raise asyncpg.InterfaceError("the connection is closed")
        if self._answer is not None:
            raise asyncpg.InterfaceError("another operation is in progress")
        self._answer = answer = self._loop.create_future()
        self.line.send(self._arrives, work, answer, to_server=True)
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                return await answer
        finally:
            self._answer = None

    def _arrives(self, work: Callable[..., Any], answer: asyncio.Future[Any]) -> None:
        self._working = self._loop.create_task(
            self._serve(work, answer), context=self._postgres.context
        )

    async def _serve(self, work: Callable[..., Any], answer: asyncio.Future[Any]) -> None:
        chance = self._loop.random.random()
        is_faulty = chance < self._postgres.faults
        fault = self._loop.random.choice(("before", "after", "deadlock")) if is_faulty else ""
        result: Any = asyncpg.DeadlockDetectedError("deadlock detected")
        if fault == "before":
            self.line.cut()
            return
        if fault == "deadlock" and self._server.in_transaction:
            self._server.rollback()
        else:
            result = await work()
        if fault == "after":
            self.line.cut()
        self.line.send(_give, answer, result, to_server=False)

    async def _listen(self) -> str:
        self._postgres.listeners.add(self)
        return "LISTEN"

    def _ends(self) -> None:
        """End the session, because the server notices that the client is gone."""
        if self._working is not None:
            self._working.cancel()
        self._postgres.listeners.discard(self)
        self._postgres.sessions.pop(self, None)
        self._server.rollback()

    def _lost(self) -> None:
        if not self._closed:
            self._closed = True
            self._fail()
            self._on_end(self)

    def _fail(self) -> None:
        if self._answer is not None and not self._answer.done():
            error = asyncpg.ConnectionDoesNotExistError("connection was closed")
            self._answer.set_exception(error)


def _give(answer: asyncio.Future[Any], result: Any) -> None:
    if answer.done():
        return
    if isinstance(result, Exception):
        answer.set_exception(result)
    else:
        answer.set_result(result)
