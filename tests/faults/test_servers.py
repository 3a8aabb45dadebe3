"""After a fault of the database or the broker under load, every accepted request is finished.
During it, requests are refused within a bounded time, with 503 or 409.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from datetime import UTC, datetime, timedelta

import aio_pika
import pytest

from libs.messaging import topology
from libs.messaging.dead_letters.replay import replay
from libs.messaging.inbox import subscriber
from tests.faults import chain
from tests.faults.world import World, running_world
from tests.fixtures.own_rabbitmq import own_rabbitmq
from tests.fixtures.polling import eventually
from tests.fixtures.servers import PostgresServer

SECONDS = 1.5
QUEUE = "ledger.on.taking.booked.v1"


@asynccontextmanager
async def database_restarts(world: World) -> AsyncIterator[None]:
    await world.alter_databases("ALLOW_CONNECTIONS false")
    await world.end_sessions()
    yield
    await world.alter_databases("ALLOW_CONNECTIONS true")


@asynccontextmanager
async def database_is_read_only(world: World) -> AsyncIterator[None]:
    """Make the database read-only, as a standby is. Sessions that begin meanwhile are not ended and
    stay read-only.
    """
    await world.alter_databases("SET default_transaction_read_only = on")
    await world.end_sessions()
    yield
    await world.alter_databases("RESET default_transaction_read_only")


@asynccontextmanager
async def database_has_few_connections(world: World) -> AsyncIterator[None]:
    await world.administrator.execute(f"ALTER ROLE {world.role} CONNECTION LIMIT 3")
    await world.end_sessions()
    yield
    await world.administrator.execute(f"ALTER ROLE {world.role} CONNECTION LIMIT -1")


SLOW_TILLS = """
    CREATE FUNCTION slowly() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN PERFORM pg_sleep(0.1); RETURN NULL; END';
    CREATE TRIGGER slowly AFTER UPDATE ON tills FOR EACH ROW EXECUTE FUNCTION slowly()
"""


@asynccontextmanager
async def database_finds_deadlocks(world: World) -> AsyncIterator[None]:
    """Let the database notice deadlocks of clients, who book at two tills in either order, before a
    lock times out. A till stays locked long enough for two clients to meet.
    """
    await world.alter_databases("SET deadlock_timeout = '5ms'")
    await world.tills_database.execute(SLOW_TILLS)
    await world.end_sessions()
    yield
    await world.tills_database.execute("DROP TRIGGER slowly ON tills")
    await world.alter_databases("RESET deadlock_timeout")


@asynccontextmanager
async def database_serializes(world: World) -> AsyncIterator[None]:
    await world.alter_databases("SET default_transaction_isolation = 'serializable'")
    await world.end_sessions()
    yield
    await world.alter_databases("RESET default_transaction_isolation")
    await world.end_sessions()


@asynccontextmanager
async def table_is_locked(world: World) -> AsyncIterator[None]:
    """Lock the table, as a migration does, for longer than any service waits for a lock."""
    async with world.tills_database.transaction(), world.ledger_database.transaction():
        await world.tills_database.execute("LOCK TABLE takings")
        await world.ledger_database.execute("LOCK TABLE entries")
        yield
        await asyncio.sleep(SECONDS)


@asynccontextmanager
async def exchange_is_missing(world: World) -> AsyncIterator[None]:
    async with await aio_pika.connect(world.broker) as connection:
        await (await connection.channel()).exchange_delete("tills")
    yield
    await topology.apply(world.broker, topology.topology_of([chain.tills(), chain.ledger()]))


Fault = Callable[[World], AbstractAsyncContextManager[None]]
REFUSE = [
    database_restarts,
    database_is_read_only,
    pytest.param(database_has_few_connections, marks=pytest.mark.long),
    pytest.param(table_is_locked, marks=pytest.mark.long),
]


@pytest.mark.parametrize("fault", REFUSE, ids=lambda fault: fault.__name__)
async def test_accepted_requests_are_finished_after_a_fault_of_the_database(
    world: World, fault: Fault
) -> None:
    async with world.under_load() as load, fault(world):
        await asyncio.sleep(SECONDS)
    assert load.answers["503 unavailable"] > 0


async def test_deadlocks_under_load_lose_and_double_nothing(world: World) -> None:
    found = "SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()"
    async with world.under_load() as load, database_finds_deadlocks(world):
        load.alone = 0.0
        await eventually(lambda: world.tills_database.fetchval(found), timeout=60)


async def test_serialization_failures_under_load_lose_and_double_nothing(world: World) -> None:
    rolled_back = (
        "SELECT xact_rollback > 10 FROM pg_stat_database WHERE datname = current_database()"
    )
    async with world.under_load(), database_serializes(world):
        await eventually(lambda: world.tills_database.fetchval(rolled_back), timeout=30)


async def test_bookings_go_on_while_the_exchange_is_missing(world: World) -> None:
    async with world.under_load() as load, exchange_is_missing(world):
        await asyncio.sleep(SECONDS)
    assert set(load.answers) == {"201"}


@pytest.fixture
def few_in_hand(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let consumers hold few messages, so that some are still in the broker's queue."""
    monkeypatch.setattr(subscriber, "PREFETCH", 10)


async def test_a_deleted_queue_is_filled_again_from_the_archive_under_load(
    few_in_hand: None, world: World
) -> None:
    """The broker has lost the messages of the queue. New events overtake those published again."""
    since = datetime.now(UTC) - timedelta(minutes=5)
    async with AsyncExitStack() as stack:
        connection = await stack.enter_async_context(await aio_pika.connect(world.broker))
        channel = await connection.channel()

        async def some_wait() -> bool:
            queue = await channel.declare_queue(QUEUE, passive=True)
            return bool(queue.declaration_result.message_count)

        await stack.enter_async_context(world.under_load())
        async with world.ledger_database.transaction():
            await world.ledger_database.execute("LOCK TABLE entries")
            await eventually(some_wait, timeout=30)
            await channel.queue_delete(QUEUE)
        await topology.apply(world.broker, topology.topology_of([chain.tills(), chain.ledger()]))
        await replay(world.broker, world.tills_database, QUEUE, since)


@pytest.mark.long
@pytest.mark.parametrize(
    ("begin", "end"),
    [
        (["stop_app"], ["start_app"]),
        (
            ["set_vm_memory_high_watermark", "0.000001"],
            ["set_vm_memory_high_watermark", "0.4"],
        ),
    ],
    ids=["restart", "memory alarm"],
)
async def test_accepted_requests_are_finished_after_a_fault_of_the_broker(
    postgres_server: PostgresServer, begin: list[str], end: list[str]
) -> None:
    async with AsyncExitStack() as stack:
        server = stack.enter_context(own_rabbitmq())
        world = await stack.enter_async_context(running_world(postgres_server, server.url))
        load = await stack.enter_async_context(world.under_load())
        await asyncio.to_thread(server.control, *begin)
        await asyncio.sleep(SECONDS)
        await asyncio.to_thread(server.control, *end)
    assert set(load.answers) == {"201"}
