"""Simulates a service's database in memory. Its transactions commit whole or not at all.

It answers the statements of the messaging library, so that the library's own inbox, outbox and
transactions run over it. A transaction works on copies of the tables it touches; rows are never
changed in place.
"""

from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from enum import Enum
from typing import Any
from uuid import UUID

from sqlalchemy.exc import DBAPIError

from libs.messaging.outbox.outbox import OutboxRow

Table = dict[Any, Any]


class Crash(BaseException):
    """A `Crash` ends the process. Only the simulation may catch it."""


class Fault(Enum):
    """A `Fault` happens at the next commit."""

    NONE = "none"
    CRASH_BEFORE = "the process dies before the commit"
    CRASH_AFTER = "the process dies after the commit"
    DEADLOCK = "the server undoes the transaction, which may run again"
    LOST_BEFORE = "the connection is lost before the commit"
    LOST_AFTER = "the connection is lost after the commit: nobody knows its outcome"


class _ServerError(Exception):
    def __init__(self, sqlstate: str) -> None:
        super().__init__(sqlstate)
        self.sqlstate = sqlstate


@dataclass(frozen=True)
class _Row:
    message_id: UUID
    payload_hash: bytes


@dataclass
class Database:
    """A `Database` fails once, at the next commit, with `fault`."""

    tables: dict[str, Table] = field(default_factory=dict)
    fault: Fault = Fault.NONE

    @asynccontextmanager
    async def begin(self) -> AsyncIterator["Connection"]:
        connection = Connection(self)
        yield connection
        connection.commit()

    def table(self, name: str) -> Table:
        """Return the committed rows. The caller must not change them."""
        return self.tables.get(name, {})


class Connection:
    def __init__(self, database: Database) -> None:
        self.database = database
        self._changed: dict[str, Table] = {}

    def table(self, name: str) -> Table:
        """Return the rows as this transaction sees them. The caller may change them."""
        if name not in self._changed:
            self._changed[name] = dict(self.database.table(name))
        return self._changed[name]

    def commit(self) -> None:
        fault, self.database.fault = self.database.fault, Fault.NONE
        if fault is Fault.CRASH_BEFORE:
            raise Crash
        if fault is Fault.DEADLOCK:
            raise DBAPIError("COMMIT", {}, _ServerError("40P01"))
        if fault is Fault.LOST_BEFORE:
            raise _connection_lost()
        self.database.tables.update(self._changed)
        if fault is Fault.CRASH_AFTER:
            raise Crash
        if fault is Fault.LOST_AFTER:
            raise _connection_lost()

    async def exec_driver_sql(self, statement: str, parameters: Sequence[Any]) -> Any:
        match statement.split()[:3]:
            case ["INSERT", "INTO", "outbox"]:
                *columns, _source = parameters
                rows = zip(*columns, strict=True)
                self.table("outbox").update({row[0]: OutboxRow(*row) for row in rows})
                return None
            case ["INSERT", "INTO", "inbox"]:
                consumer, ids, _, hashes = parameters
                return _Scalars(self._admitted(consumer, ids, hashes))
            case ["SELECT", "message_id,", "payload_hash"]:
                consumer, ids, _ = parameters
                inbox = self.table("inbox")
                return [_Row(each, inbox[consumer, each]) for each in ids]
        raise NotImplementedError(statement)

    def _admitted(self, consumer: str, ids: Iterable[UUID], hashes: Iterable[bytes]) -> list[UUID]:
        inbox, new = self.table("inbox"), []
        for identifier, payload_hash in zip(ids, hashes, strict=True):
            if (consumer, identifier) not in inbox:
                inbox[consumer, identifier] = payload_hash
                new.append(identifier)
        return new


@dataclass(frozen=True)
class _Scalars:
    values: list[UUID]

    def scalars(self) -> list[UUID]:
        return self.values


def _connection_lost() -> DBAPIError:
    return DBAPIError("COMMIT", {}, _ServerError("08006"), connection_invalidated=True)
