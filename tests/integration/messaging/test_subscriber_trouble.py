"""When a server fails, messages wait and are handled afterwards; none becomes a dead letter."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import TypeVar
from urllib.parse import urlsplit

import aio_pika
import asyncpg
import httpx
import pytest
from aio_pika.abc import AbstractChannel
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.kernel.ids import uuid7
from libs.messaging import topology
from libs.messaging.envelope import Received
from libs.messaging.inbox.consumer import WHOLE_ROUNDS
from libs.messaging.inbox.subscriber import Subscriber
from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import Transactions
from libs.messaging.schema.inbox_window import InboxWindow
from tests.fixtures.polling import eventually
from tests.fixtures.servers import PostgresServer, RabbitMQServer
from tests.integration.messaging import sample
from tests.integration.messaging.effects import Subscribe, counted, reserved, until_reserved
from tests.integration.messaging.wire import dead, send, waiting

Result = TypeVar("Result")


async def _is_held() -> bool:
    return counted("messaging_held") == 1


@pytest.fixture
async def administrator(postgres_server: PostgresServer) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(postgres_server.url)
    yield connection
    await connection.close()


async def test_an_outage_of_the_database_holds_messages_and_loses_none(
    engine: AsyncEngine,
    channel: AbstractChannel,
    subscribe: Subscribe,
    administrator: asyncpg.Connection,
    database: str,
) -> None:
    name = database.rpartition("/")[2]
    subscriber = await subscribe()
    await send(channel, sample.on_the_wire(sample.order_placed(total_cents=0)))
    await until_reserved(engine, 1)
    await administrator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    await administrator.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
    )
    await send(
        channel, *[sample.on_the_wire(sample.order_placed(total_cents=n)) for n in range(1, 30)]
    )
    await eventually(_is_held)
    await administrator.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
    assert sorted(await until_reserved(engine, 30, timeout=20)) == list(range(30))
    await subscriber.stop()
    assert await dead(channel) is None
    assert await waiting(channel) == 0


async def test_an_inbox_that_cannot_be_written_blames_no_message(
    engine: AsyncEngine, channel: AbstractChannel, subscribe: Subscribe
) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE inbox RENAME TO elsewhere"))
    await subscribe()
    await send(channel, sample.on_the_wire(sample.order_placed()))
    await eventually(_is_held)
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE elsewhere RENAME TO inbox"))
    await until_reserved(engine, 1)
    assert await dead(channel) is None


async def test_stopping_during_an_outage_is_quick_and_gives_the_messages_back(
    engine: AsyncEngine, channel: AbstractChannel, subscribe: Subscribe
) -> None:
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE inbox RENAME TO elsewhere"))
    subscriber = await subscribe()
    await send(channel, *[sample.on_the_wire(sample.order_placed()) for _ in range(3)])
    await eventually(_is_held)
    started = time.monotonic()
    await subscriber.stop()
    assert time.monotonic() - started < 5

    async def all_back() -> bool:
        return await waiting(channel) == 3

    await eventually(all_back)


class CommitsBlindly(Transactions[sample.CreditUnitOfWork]):
    """The first commit of `CommitsBlindly` succeeds, but its answer is lost."""

    lost = False

    async def run(self, work: Callable[[sample.CreditUnitOfWork], Awaitable[Result]]) -> Result:
        result = await super().run(work)
        if not self.lost:
            self.lost = True
            raise ConnectionResetError
        return result


async def test_a_commit_of_unknown_outcome_has_one_effect(
    engine: AsyncEngine, channel: AbstractChannel, subscribe: Subscribe
) -> None:
    blind = CommitsBlindly(engine, Outbox("credit", sample.TABLES), sample.CreditUnitOfWork)
    before = counted("messaging_duplicates_total")
    subscriber = await subscribe(transactions=blind)
    await send(channel, sample.on_the_wire(sample.order_placed()))

    async def met_again() -> bool:
        return counted("messaging_duplicates_total") == before + 1

    await eventually(met_again)
    await subscriber.stop()
    assert await reserved(engine) == [100]
    assert await waiting(channel) == 0


async def test_a_deadlock_runs_the_transaction_again_and_blames_no_message(
    engine: AsyncEngine, channel: AbstractChannel, subscribe: Subscribe
) -> None:
    tries = 0

    async def deadlocked(
        unit: sample.CreditUnitOfWork, event: Received[sample.OrderPlacedView]
    ) -> None:
        nonlocal tries
        tries += 1
        await sample.reserve_credit(unit, event)
        if tries <= 7:
            raising = "DO $$ BEGIN RAISE 'deadlock' USING ERRCODE = '40P01'; END $$"
            await unit.connection.execute(text(raising))

    subscriber = await subscribe(deadlocked)
    await send(channel, sample.on_the_wire(sample.order_placed()))
    assert await until_reserved(engine, 1) == [100]
    await subscriber.stop()
    assert tries == 8
    assert await dead(channel) is None


@pytest.mark.parametrize("state", ["40P01", "57P01", "25006"])
async def test_the_order_of_a_subject_outlasts_a_transaction_that_the_server_ends(
    engine: AsyncEngine, channel: AbstractChannel, subscribe: Subscribe, state: str
) -> None:
    ended: list[int] = []

    async def ended_once(
        unit: sample.CreditUnitOfWork, event: Received[sample.OrderPlacedView]
    ) -> None:
        await sample.reserve_credit(unit, event)
        if event.data.total_cents == 2 and len(ended) < WHOLE_ROUNDS:
            ended.append(event.data.total_cents)
            raising = f"DO $$ BEGIN RAISE 'ended' USING ERRCODE = '{state}'; END $$"
            await unit.connection.execute(text(raising))

    order_id = uuid7()
    placed = [sample.order_placed(order_id, total_cents=n) for n in range(1, 6)]
    await send(channel, *map(sample.on_the_wire, placed))
    await subscribe(ended_once)
    assert await until_reserved(engine, 5) == [1, 2, 3, 4, 5]
    assert len(ended) == WHOLE_ROUNDS


async def test_the_order_of_a_subject_outlasts_a_database_that_is_read_only(
    engine: AsyncEngine,
    channel: AbstractChannel,
    subscribe: Subscribe,
    administrator: asyncpg.Connection,
    database: str,
) -> None:
    name = database.rpartition("/")[2]
    await administrator.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
    await administrator.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1", name
    )
    order_id = uuid7()
    placed = [sample.order_placed(order_id, total_cents=n) for n in range(1, 6)]
    await send(channel, *map(sample.on_the_wire, placed))
    await subscribe()
    await eventually(_is_held)
    await administrator.execute(f"ALTER DATABASE {name} RESET default_transaction_read_only")
    assert await until_reserved(engine, 5) == [1, 2, 3, 4, 5]
    assert await dead(channel) is None


async def _close_connections(management_url: str, vhost: str, name: str) -> None:
    """Close the client's connections as an operator would. They are listed with a delay."""
    async with httpx.AsyncClient(base_url=management_url, timeout=10) as http:

        async def closed() -> bool:
            found = (await http.get(f"/api/vhosts/{vhost}/connections")).json()
            names = [each["name"] for each in found if each.get("user_provided_name") == name]
            for each in names:
                await http.delete(f"/api/connections/{each}")
            return bool(names)

        await eventually(closed, 20)


async def test_a_connection_lost_between_commit_and_acknowledgement_has_one_effect(
    engine: AsyncEngine,
    channel: AbstractChannel,
    subscribe: Subscribe,
    rabbitmq_server: RabbitMQServer,
    broker: str,
) -> None:
    begun, go_on = asyncio.Event(), asyncio.Event()

    async def slow(unit: sample.CreditUnitOfWork, event: Received[sample.OrderPlacedView]) -> None:
        await sample.reserve_credit(unit, event)
        begun.set()
        await go_on.wait()

    before = counted("messaging_duplicates_total")
    subscriber = await subscribe(slow)
    await send(channel, sample.on_the_wire(sample.order_placed()))
    await begun.wait()
    vhost = urlsplit(broker).path.removeprefix("/")
    await _close_connections(rabbitmq_server.management_url, vhost, "credit subscriber")
    go_on.set()

    async def met_again() -> bool:
        return counted("messaging_duplicates_total") == before + 1

    await eventually(met_again, 20)
    await subscriber.stop()
    assert await reserved(engine) == [100]
    assert await waiting(channel) == 0


async def test_messages_held_when_their_connection_goes_come_again(
    engine: AsyncEngine,
    channel: AbstractChannel,
    subscribe: Subscribe,
    rabbitmq_server: RabbitMQServer,
    broker: str,
) -> None:
    subscriber = await subscribe()
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE inbox RENAME TO elsewhere"))
    await send(channel, sample.on_the_wire(sample.order_placed()))
    await eventually(_is_held)
    vhost = urlsplit(broker).path.removeprefix("/")
    await _close_connections(rabbitmq_server.management_url, vhost, "credit subscriber")
    async with engine.begin() as connection:
        await connection.execute(text("ALTER TABLE elsewhere RENAME TO inbox"))
    await until_reserved(engine, 1, timeout=20)
    assert await subscriber.ready()
    await subscriber.stop()
    assert await reserved(engine) == [100]
    assert await waiting(channel) == 0


async def test_a_subscriber_waits_for_its_queue_and_says_that_it_is_not_ready(
    engine: AsyncEngine, vhost: str
) -> None:
    subscriber = Subscriber(
        sample.credit(), sample.transactions(engine), sample.TABLES, vhost, window=InboxWindow()
    )
    await subscriber.start()
    try:
        assert not await subscriber.ready()
        participants = [sample.shop(), sample.credit()]
        await topology.apply(vhost, topology.topology_of(participants))
        await eventually(subscriber.ready)
    finally:
        await subscriber.stop()


async def test_a_deleted_queue_turns_readiness_red_until_it_is_declared_again(
    engine: AsyncEngine, broker: str, subscribe: Subscribe
) -> None:
    subscriber = await subscribe()
    connection = await aio_pika.connect(broker)
    async with connection:
        channel = await connection.channel(on_return_raises=True)
        await channel.queue_delete(sample.QUEUE)

        async def not_ready() -> bool:
            return not await subscriber.ready()

        await eventually(not_ready)
        participants = [sample.shop(), sample.credit()]
        await topology.apply(broker, topology.topology_of(participants))
        await eventually(subscriber.ready, 30)
        await send(channel, sample.on_the_wire(sample.order_placed()))
        await until_reserved(engine, 1)


async def test_a_user_who_may_configure_nothing_can_handle_and_refuse(
    engine: AsyncEngine,
    channel: AbstractChannel,
    subscribe: Subscribe,
    rabbitmq_server: RabbitMQServer,
    broker: str,
) -> None:
    place = urlsplit(broker)
    vhost = place.path.removeprefix("/")
    user = f"credit-{vhost}"
    async with httpx.AsyncClient(base_url=rabbitmq_server.management_url, timeout=10) as http:
        (
            await http.put(f"/api/users/{user}", json={"password": "p", "tags": ""})
        ).raise_for_status()
        try:
            rights = {"configure": "^$", "write": r"^credit\..*", "read": r"^credit\..*"}
            (await http.put(f"/api/permissions/{vhost}/{user}", json=rights)).raise_for_status()
            url = f"amqp://{user}:p@{place.hostname}:{place.port}/{vhost}"
            subscriber = await subscribe(url=url)
            await send(channel, sample.on_the_wire(sample.order_placed()), b"no event")
            await until_reserved(engine, 1)

            async def refused() -> bool:
                return await dead(channel) is not None

            await eventually(refused)
            await subscriber.stop()
        finally:
            (await http.delete(f"/api/users/{user}")).raise_for_status()
