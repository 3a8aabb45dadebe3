"""Client and server give up a half-open connection within a bounded time."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from uuid import uuid4

import aio_pika
import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.messaging import topology
from libs.messaging.database import VANISHED_CLIENT, Connection, limits_transactions
from libs.messaging.inbox.dead_letter_publisher import DeadLetterPublisher
from libs.messaging.relay.relay import Relay
from libs.messaging.schema.inbox_window import INBOX_WINDOW
from libs.runtime.database import create_engine
from tests.faults import chain
from tests.fixtures.containers import past_the_engine
from tests.fixtures.polling import eventually
from tests.fixtures.proxy import Proxy, Way, proxy
from tests.fixtures.services import ServiceClient, serving
from tests.fixtures.vanishing import vanish, with_packet_filter


@pytest.fixture
async def line(database: str) -> AsyncIterator[tuple[Proxy, str]]:
    async with proxy(database) as made:
        yield made


@pytest.fixture
async def engine(line: tuple[Proxy, str]) -> AsyncIterator[AsyncEngine]:
    """Yield an engine that gives up a statement after 0.5 seconds, and a transaction after two."""
    settings = chain.TillsSettings(_env_file=None, database_url=line[1], role="api")
    made = create_engine(settings, statement_seconds=0.5)
    yield made
    await made.dispose()


@pytest.mark.parametrize("way", Way)
async def test_a_statement_that_gets_no_answer_is_given_up(
    engine: AsyncEngine, line: tuple[Proxy, str], way: Way
) -> None:
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))
        line[0].silence(way)
        with pytest.raises(TimeoutError):
            await connection.execute(text("SELECT 1"))
    await line[0].heal()
    async with engine.begin() as connection:
        assert await connection.scalar(text("SELECT 1")) == 1


async def test_a_dead_letter_is_sent_though_its_old_connection_is_dead(vhost: str) -> None:
    await topology.apply(vhost, topology.topology_of([chain.tills(), chain.ledger()]))
    queue = "ledger.on.taking.booked.v1"
    async with proxy(vhost) as (line, through), await aio_pika.connect(vhost) as connection:
        channel = await connection.channel()
        refusals = DeadLetterPublisher("ledger", through, timeout=0.5)
        exchange = await channel.get_exchange("tills")
        for body in (b"one", b"two"):
            await exchange.publish(aio_pika.Message(body), "taking.booked.v1")
        source = await channel.get_queue(queue)
        one, two = await source.get(), await source.get()
        await refusals.send(one, queue=queue, error="bad", attempts=1)
        line.forget()
        async with asyncio.timeout(10):
            with pytest.raises(TimeoutError):
                await refusals.send(two, queue=queue, error="bad", attempts=1)
            await refusals.send(two, queue=queue, error="bad", attempts=2)
            await refusals.close()
        dead = await channel.get_queue("ledger.dead-letters")
        bodies = {(await dead.get(no_ack=True)).body for _ in range(2)}
        assert bodies == {b"one", b"two"}


async def test_locks_of_a_client_that_vanished_behind_a_proxy_within_a_statement_are_freed(
    engine: AsyncEngine, line: tuple[Proxy, str], database: str
) -> None:
    """The client vanishes between parse and bind. For Postgres this transaction is not idle, and
    the client is connected, because the proxy keeps its connection to the server open.
    """
    witness = await asyncpg.connect(database.replace("+asyncpg", ""))
    if not limits_transactions(witness):
        await witness.close()
        pytest.skip("only a transaction_timeout ends this, and Postgres has one from 17 on")
    async with engine.connect() as connection:
        await connection.execute(text("SELECT pg_advisory_xact_lock(1)"))
        driver = (await connection.get_raw_connection()).driver_connection
        assert driver is not None
        await driver.prepare("SELECT 1")
        line[0].forget()
        assert not await witness.fetchval("SELECT pg_try_advisory_lock(1)")

        async def free() -> bool:
            return bool(await witness.fetchval("SELECT pg_try_advisory_lock(1)"))

        await eventually(free)
        await connection.invalidate()
    await witness.close()


@with_packet_filter
@pytest.mark.parametrize("at_work", [False, True], ids=["between messages", "at work"])
@pytest.mark.parametrize("whose", ["service", "relay"])
async def test_locks_of_a_client_whose_machine_has_failed_are_freed(
    database: str, monkeypatch: pytest.MonkeyPatch, whose: str, at_work: bool
) -> None:
    """Nothing answers the server's packets, and the time limits of a transaction are long."""
    for name, value in SOON.items():
        monkeypatch.setitem(VANISHED_CLIENT, name, value)
    witness = await asyncpg.connect(database.replace("+asyncpg", ""))
    direct = database if await is_direct(witness) else past_the_engine(database)
    async with CONNECTIONS[whose](direct) as client:
        await client.execute("BEGIN; SELECT pg_advisory_xact_lock(1)")
        working = None
        if at_work:
            working = asyncio.create_task(client.execute("SELECT pg_sleep(60)"))
            query = "SELECT count(*) FROM pg_stat_activity WHERE query = 'SELECT pg_sleep(60)'"
            await eventually(lambda: witness.fetchval(query))
        else:
            await client.prepare("SELECT 1")
        vanish(client._transport.get_extra_info("socket"))  # type: ignore[attr-defined]
        assert not await witness.fetchval("SELECT pg_try_advisory_lock(1)")
        await eventually(lambda: witness.fetchval("SELECT pg_try_advisory_lock(1)"))
        client.terminate()
        if working is not None:
            await asyncio.gather(working, return_exceptions=True)
    await witness.close()


async def is_direct(client: Connection) -> bool:
    """Return whether the server sees the client's own end of the connection, not a proxy's."""
    _, port = client._transport.get_extra_info("sockname")  # type: ignore[attr-defined]
    return bool(await client.fetchval("SELECT inet_client_port() = $1", port))


SOON = {
    "tcp_keepalives_idle": "1s",
    "tcp_keepalives_interval": "1s",
    "tcp_keepalives_count": "2",
    "tcp_user_timeout": "2s",
    "client_connection_check_interval": "1s",
}


@asynccontextmanager
async def of_a_service(database: str) -> AsyncIterator[Connection]:
    settings = chain.TillsSettings(_env_file=None, database_url=database, role="api", tls="off")
    engine = create_engine(settings, statement_seconds=120)
    connection = await engine.connect()
    driver = (await connection.get_raw_connection()).driver_connection
    assert driver is not None
    try:
        yield driver
    finally:
        await connection.invalidate()
        await connection.close()
        await engine.dispose()


@asynccontextmanager
async def of_a_relay(database: str) -> AsyncIterator[Connection]:
    dsn = database.replace("+asyncpg", "")
    relay = Relay("tills", database_dsn=dsn, rabbitmq_url="amqp://", window=INBOX_WINDOW)
    yield await relay._connect()


CONNECTIONS: dict[str, Callable[[str], AbstractAsyncContextManager[Connection]]] = {
    "service": of_a_service,
    "relay": of_a_relay,
}


async def book(tills: ServiceClient) -> None:
    headers = {"Idempotency-Key": uuid4().hex}
    answer = await tills.post("/takings", json={"tills": [str(uuid4())]}, headers=headers)
    assert answer.status_code == 201, answer.text


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("server", ["postgres", "rabbitmq"])
async def test_a_service_stops_though_a_server_says_nothing(
    database: str, vhost: str, server: str
) -> None:
    await chain.create_tables(database, chain.TILLS_DATABASE)
    await topology.apply(vhost, topology.topology_of([chain.tills(), chain.ledger()]))
    async with (
        proxy(database) as (postgres, database_through),
        proxy(vhost) as (rabbitmq, broker_through),
    ):
        settings = chain.TillsSettings(
            _env_file=None, database_url=database_through, rabbitmq_url=broker_through
        )
        async with serving(chain.build_tills(settings)) as tills:

            async def ready() -> bool:
                return (await tills.get("/ready")).status_code == 200

            await eventually(ready)
            await asyncio.gather(*(book(tills) for _ in range(6)))
            {"postgres": postgres, "rabbitmq": rabbitmq}[server].silence()
            started = time.monotonic()
        assert time.monotonic() - started < 30
