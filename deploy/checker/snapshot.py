"""A snapshot reads what the databases hold of purchases, at about one moment, one by one.

Each service's records are read in the order of their order ids, and merged: only some thousands are
in memory at a time, however many there are.
"""

import asyncio
from bisect import bisect_right
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from operator import itemgetter
from typing import TypeAlias
from uuid import UUID

import asyncpg
from asyncpg.cursor import Cursor

from deploy.checker.purchase import Purchase, Row
from deploy.checker.records import STATEMENTS
from libs.messaging.database import Connection

Connections: TypeAlias = Mapping[str, Connection]

AT_A_TIME = 5_000
"""This many rows of each service are in memory at a time."""

SESSION = {
    "application_name": "verify",
    "default_transaction_read_only": "on",
    "idle_in_transaction_session_timeout": "0",
    "statement_timeout": "0",
    "work_mem": "64MB",
    "jit": "off",
}


@asynccontextmanager
async def connected(databases: Mapping[str, str], **settings: str) -> AsyncIterator[Connections]:
    """Open a read-only connection to each database, under the same name. `settings` are Postgres'
    own, in addition to those of every connection.
    """
    async with AsyncExitStack() as stack:
        connections: dict[str, Connection] = {}
        for name, url in databases.items():
            connections[name] = await asyncpg.connect(url, server_settings=SESSION | settings)
            stack.push_async_callback(connections[name].close)
        yield connections


@asynccontextmanager
async def at_one_moment(connections: Connections) -> AsyncIterator[None]:
    """Let each database show its state at the time of entry, each at its own moment."""
    async with AsyncExitStack() as moments:
        for connection in connections.values():
            moment = connection.transaction(isolation="repeatable_read", readonly=True)
            await moments.enter_async_context(moment)
            await connection.execute("SELECT 1")  # the first statement fixes the moment
        yield


async def purchases(
    connections: Connections, grace_seconds: float
) -> AsyncIterator[Sequence[Purchase]]:
    """Yield all purchases by order id, some thousands at a time. Call it in `at_one_moment`."""
    lanes = [
        _Lane(name, await connections[name].cursor(each, *[grace_seconds][: "$1" in each]))
        for name, each in STATEMENTS.items()
    ]
    while True:
        await asyncio.gather(*(lane.fill() for lane in lanes))
        unread = [lane.rows[-1]["order_id"] for lane in lanes if not lane.at_end]
        if not unread and not any(lane.rows for lane in lanes):
            return
        until = min(unread) if unread else None
        yield list(_merged({lane.service: lane.take(until) for lane in lanes}))


class _Lane:
    """A lane has one service's records, in order; `rows` are those read and not taken."""

    def __init__(self, service: str, cursor: "Cursor[asyncpg.Record]") -> None:
        self.service = service
        self.rows: Sequence[Row] = []
        self.at_end = False
        self._cursor = cursor

    async def fill(self) -> None:
        if not self.rows and not self.at_end:
            self.rows = await self._cursor.fetch(AT_A_TIME)
            self.at_end = len(self.rows) < AT_A_TIME

    def take(self, until: UUID | None) -> dict[UUID, Row]:
        """Return the records up to this order id, or all."""
        end = len(self.rows) if until is None else _position(self.rows, until)
        taken, self.rows = self.rows[:end], self.rows[end:]
        return {row["order_id"]: row for row in taken}


_order_id: Callable[[Row], UUID] = itemgetter("order_id")


def _position(rows: Sequence[Row], until: UUID) -> int:
    return bisect_right(rows, until, key=_order_id)


def _merged(records: Mapping[str, Mapping[UUID, Row]]) -> Iterator[Purchase]:
    for order_id in dict.fromkeys(order_id for each in records.values() for order_id in each):
        yield Purchase(order_id, {name: each.get(order_id) for name, each in records.items()})
