"""When relay and subscriber are killed at any point of their work, nothing is lost, each effect
happens once, and no more is sent twice than the point allows.
"""

from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from uuid import UUID

import aio_pika
import asyncpg
import pytest
from sqlalchemy.ext.asyncio import create_async_engine

from libs.kernel.ids import uuid7
from libs.messaging import topology
from libs.messaging.inbox.subscriber import Subscriber
from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import Transactions, UnitOfWork
from libs.messaging.relay.relay import Relay
from libs.messaging.schema.inbox_window import InboxWindow
from tests.faults import chain
from tests.faults.crashes import dies_at
from tests.fixtures.polling import eventually
from tests.fixtures.servers import PostgresServer, fresh_database

QUEUE = "ledger.on.taking.booked.v1"
COPIES = "copies"
BOOKED = 5
"""Five events are booked: three of one till, two of another."""


@dataclass
class Scene:
    """Tills and ledger do not run here. `copies` gets each message that the tills' relay sends."""

    tills_url: str
    ledger_url: str
    broker: str
    tills: "asyncpg.Connection[asyncpg.Record]"
    ledger: "asyncpg.Connection[asyncpg.Record]"

    async def book(self) -> None:
        engine = create_async_engine(self.tills_url)
        transactions = Transactions(engine, Outbox("tills", chain.TILLS_MESSAGING), UnitOfWork)
        one, other = uuid7(), uuid7()
        tills = [one, other, one, other, one]
        await transactions.run(lambda unit: chain.book(unit, "default", tills))
        await engine.dispose()

    @property
    def dsn(self) -> str:
        return self.tills_url.replace("+asyncpg", "")

    async def waiting(self) -> int:
        return int(await self.tills.fetchval("SELECT count(*) FROM outbox"))

    async def relayed(self) -> None:
        """Start a relay and wait until it has published all rows."""

        async def none_waits() -> bool:
            return await self.waiting() == 0

        relay = Relay(
            "tills", database_dsn=self.dsn, rabbitmq_url=self.broker, window=InboxWindow()
        )
        await relay.start()
        await eventually(none_waits, timeout=30)
        await relay.stop()

    async def copies(self) -> Counter[str | None]:
        """Remove the copies from their queue, and return how often each message was sent."""
        found: Counter[str | None] = Counter()
        async with await aio_pika.connect(self.broker) as connection:
            queue = await (await connection.channel()).get_queue(COPIES)
            while message := await queue.get(no_ack=True, fail=False):
                found[message.message_id] += 1
        return found

    async def entries(self) -> list[tuple[UUID, int]]:
        rows = await self.ledger.fetch("SELECT till_id, sequence FROM entries ORDER BY number")
        return [(row["till_id"], row["sequence"]) for row in rows]

    async def finishes(self) -> None:
        """Start the ledger, and check that it enters each booking once, in order, and
        publishes that once.
        """
        engine = create_async_engine(self.ledger_url)
        transactions = Transactions(engine, Outbox("ledger", chain.LEDGER_MESSAGING), UnitOfWork)
        subscriber = Subscriber(
            chain.ledger(), transactions, chain.LEDGER_MESSAGING, self.broker, window=InboxWindow()
        )
        await subscriber.start()
        await eventually(self._queue_is_empty, timeout=30)
        await subscriber.stop()
        await engine.dispose()
        entries = await self.entries()
        for till in {till for till, _ in entries}:
            sequences = [sequence for each, sequence in entries if each == till]
            assert sequences == list(range(1, len(sequences) + 1))
        assert len(entries) == BOOKED
        assert await self.ledger.fetchval("SELECT count(*) FROM inbox") == BOOKED
        assert await self.ledger.fetchval("SELECT count(*) FROM outbox") == BOOKED

    async def _queue_is_empty(self) -> bool:
        """Return whether the queue is empty. The broker may still hold acknowledged messages."""
        assert len(await self.entries()) >= BOOKED
        async with await aio_pika.connect(self.broker) as connection:
            queue = await (await connection.channel()).get_queue(QUEUE)
            return not queue.declaration_result.message_count


@asynccontextmanager
async def set_up(tills_url: str, ledger_url: str, broker: str) -> AsyncIterator[Scene]:
    await chain.create_tables(tills_url, chain.TILLS_DATABASE)
    await chain.create_tables(ledger_url, chain.LEDGER_DATABASE)
    await topology.apply(broker, topology.topology_of([chain.tills(), chain.ledger()]))
    async with await aio_pika.connect(broker) as connection:
        queue = await (await connection.channel()).declare_queue(COPIES, durable=True)
        await queue.bind("tills", "#")
    tills = await asyncpg.connect(tills_url.replace("+asyncpg", ""))
    ledger = await asyncpg.connect(ledger_url.replace("+asyncpg", ""))
    yield Scene(tills_url, ledger_url, broker, tills, ledger)
    await tills.close()
    await ledger.close()


@pytest.fixture
async def scene(database: str, vhost: str, postgres_server: PostgresServer) -> AsyncIterator[Scene]:
    async with (
        fresh_database(postgres_server) as other,
        set_up(database, other, vhost) as made,
    ):
        await made.book()
        yield made


@pytest.mark.parametrize(
    ("point", "kept", "repeated"),
    [
        ("relay claimed", BOOKED, {0}),
        ("relay sent", BOOKED, {1, 2}),
        ("relay confirmed", BOOKED, {BOOKED}),
        ("relay deleted", BOOKED, {BOOKED}),
        ("relay committed", 0, {0}),
    ],
)
async def test_a_relay_killed_there_loses_nothing_and_repeats_what_was_in_flight(
    scene: Scene, point: str, kept: int, repeated: set[int]
) -> None:
    await dies_at(point, "relay", scene.dsn, scene.broker, database=scene.dsn)
    assert await scene.waiting() == kept
    await scene.relayed()
    copies = await scene.copies()
    assert len(copies) == BOOKED
    assert set(copies.values()) <= {1, 2}
    assert copies.total() - BOOKED in repeated
    await scene.finishes()


@pytest.mark.parametrize(
    ("point", "committed"),
    [
        ("subscriber received", False),
        ("subscriber admitted", False),
        ("before commit:taking.entered.v1", False),
        ("after commit:taking.entered.v1", True),
        ("subscriber acknowledges", True),
        ("subscriber acknowledged one", True),
    ],
)
async def test_a_subscriber_killed_there_has_each_effect_once(
    scene: Scene, point: str, *, committed: bool
) -> None:
    await scene.relayed()
    await dies_at(point, "ledger", scene.ledger_url, scene.broker, database=scene.ledger_url)
    assert bool(await scene.entries()) is committed
    await scene.finishes()
