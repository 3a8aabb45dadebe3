"""Views whose queues dropped events are completed from the archive."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

import aio_pika
import asyncpg
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.kernel.ids import uuid7
from libs.messaging.database import Connection
from libs.messaging.dead_letters import missed, replay_service
from libs.messaging.dead_letters.dead_letters import DeadLetters
from libs.messaging.dead_letters.replay import send_to_queue
from libs.messaging.dead_letters.replay_service import ReplayError, replay_to_service
from libs.messaging.inbox.subscriber import Subscriber
from libs.messaging.saga.choreography import choreography_of
from libs.messaging.schema.inbox_window import InboxWindow
from tests.fixtures.polling import eventually
from tests.fixtures.servers import PostgresServer, RabbitMQServer, fresh_database
from tests.integration.messaging import sample
from tests.integration.messaging.effects import until_reserved
from tests.integration.messaging.relaying import install
from tests.integration.messaging.viewing import DEAD, OVERFLOW, VIEW, applied, bounded, figures
from tests.integration.messaging.wire import send, waiting

ARCHIVE = """
    INSERT INTO outbox_archive (seq, id, subject, type, body, created_at)
    VALUES ($1, $2, 's', 'order.placed.v1', $3, now())"""
FITTING = 5_000
"""Bytes: about ten events."""
EVENTS = 200


@dataclass
class World:
    """A `World` has the shop's archive, and the figures' database and queues."""

    shop: Connection
    figures: Connection
    engine: AsyncEngine
    channel: AbstractChannel
    broker: str

    async def place(self, first: int, count: int) -> None:
        """Publish `count` events as the shop. Each has its number from `first` on."""
        for number in range(first, first + count):
            event_id = uuid7()
            body = sample.on_the_wire(sample.order_placed(total_cents=number), event_id)
            await self.shop.execute(ARCHIVE, number, event_id, body)
            await send(self.channel, body, message_id=str(event_id), type="order.placed.v1")

    @asynccontextmanager
    async def working(self) -> AsyncIterator[None]:
        """Run the service that keeps the view."""
        subscriber = Subscriber(
            figures(),
            sample.transactions(self.engine),
            sample.TABLES,
            self.broker,
            window=InboxWindow(),
        )
        await subscriber.start()
        try:
            await eventually(subscriber.ready)
            yield
        finally:
            await subscriber.stop()

    async def replay(self, since: timedelta = timedelta(days=13)) -> int:
        return await replay_to_service(
            self.broker,
            {"shop": self.shop, "figures": self.figures},
            choreography_of([sample.shop(), figures()]),
            "figures",
            datetime.now(UTC) - since,
        )

    async def told(self) -> int:
        return await waiting(self.channel, OVERFLOW)

    async def handled(self) -> set[UUID]:
        rows = await self.figures.fetch("SELECT message_id FROM inbox WHERE consumer = $1", VIEW)
        return {row["message_id"] for row in rows}


@pytest.fixture
async def world(
    postgres_server: PostgresServer,
    rabbitmq_server: RabbitMQServer,
    engine: AsyncEngine,
    database: str,
    vhost: str,
) -> AsyncIterator[World]:
    await applied(vhost, rabbitmq_server, bounded(FITTING))
    async with fresh_database(postgres_server) as url, await aio_pika.connect(vhost) as connection:
        await install(url)
        shop = await asyncpg.connect(url.replace("+asyncpg", ""))
        figures_ = await asyncpg.connect(database.replace("+asyncpg", ""))
        try:
            channel = await connection.channel(on_return_raises=True)
            yield World(shop, figures_, engine, channel, vhost)
        finally:
            await shop.close()
            await figures_.close()


async def test_a_view_that_stood_still_becomes_equal_to_one_that_never_did(world: World) -> None:
    async with world.working():
        await world.place(0, 20)
        await until_reserved(world.engine, 20)
    await world.place(20, EVENTS - 20)
    assert await world.told() == 1

    async with world.working():
        sent = await world.replay()
        assert sorted(await until_reserved(world.engine, EVENTS)) == list(range(EVENTS))
        assert await world.told() == 0
        assert EVENTS - 20 - 20 < sent < EVENTS - 20, "only what was dropped"
        assert await world.replay() == 0

    assert sorted(await until_reserved(world.engine, EVENTS)) == list(range(EVENTS))
    assert await waiting(world.channel, DEAD) == 0


async def test_a_replay_that_is_stopped_half_way_still_says_so_and_goes_on_later(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.place(0, EVENTS)
    count = 0

    async def dying(*message: object) -> None:
        nonlocal count
        count += 1
        if count > EVENTS // 2:
            raise asyncio.CancelledError
        await send_to_queue(*message)  # type: ignore[arg-type]

    async with world.working():
        monkeypatch.setattr(replay_service, "send_to_queue", dying)
        with pytest.raises(asyncio.CancelledError):
            await world.replay()
        monkeypatch.undo()

        async def told() -> bool:
            return await world.told() == 1

        await eventually(told)
        await world.replay()
        assert sorted(await until_reserved(world.engine, EVENTS)) == list(range(EVENTS))
        assert await world.told() == 0


async def test_events_dropped_during_a_replay_are_still_reported_afterwards(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    await world.place(0, EVENTS)

    async def dropping(*message: object) -> None:
        await send(world.channel, b"dropped", exchange="figures.dlx", routing_key=VIEW)
        await send_to_queue(*message)  # type: ignore[arg-type]

    monkeypatch.setattr(replay_service, "send_to_queue", dropping)
    async with world.working():
        await world.replay()
    assert await world.told() == 1


async def test_a_replay_waits_for_the_view_and_drops_nothing_itself(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (replay_service, missed):
        monkeypatch.setattr(module, "AT_A_TIME", 4)  # eight fit into the queue
    sleep, waits = asyncio.sleep, asyncio.Event()

    async def noticed(seconds: float) -> None:
        if seconds == replay_service.LOOK_SECONDS:
            waits.set()
        await sleep(seconds)

    monkeypatch.setattr(asyncio, "sleep", noticed)
    await world.place(0, EVENTS)
    await (await world.channel.get_queue(VIEW)).purge()
    async with slow_consumer(world.broker) as (consumed, goes_on):
        replaying = asyncio.create_task(world.replay())

        async def has_sent_or_waits() -> bool:
            return replaying.done() or waits.is_set()

        await eventually(has_sent_or_waits)
        goes_on.set()
        assert await replaying == EVENTS

        async def all_consumed() -> bool:
            return len(consumed) == EVENTS

        await eventually(all_consumed)
    assert await world.told() == 0


@asynccontextmanager
async def slow_consumer(broker: str) -> AsyncIterator[tuple[set[str | None], asyncio.Event]]:
    """Consume one message at a time when the event is set. Yield the consumed ids and the event."""
    consumed: set[str | None] = set()
    goes_on = asyncio.Event()

    async def consume(message: AbstractIncomingMessage) -> None:
        await goes_on.wait()
        consumed.add(message.message_id)
        await message.ack()

    async with await aio_pika.connect(broker) as connection:
        channel = await connection.channel()
        await channel.set_qos(prefetch_count=1)
        queue = await channel.get_queue(VIEW)
        await queue.consume(consume)
        yield consumed, goes_on


async def test_a_replay_to_a_service_that_does_not_run_sends_nothing(world: World) -> None:
    await world.place(0, EVENTS)
    with pytest.raises(ReplayError, match=f"nobody consumes {VIEW}: start its service first"):
        await world.replay()

    async def told() -> bool:
        return await world.told() == 1

    await eventually(told)


async def test_events_that_no_inbox_knows_any_more_are_left_alone(world: World) -> None:
    await world.place(0, EVENTS)
    async with world.working():
        assert await world.replay(since=timedelta(0)) == 0
    assert await waiting(world.channel, DEAD) == 0


async def test_an_event_that_a_view_cannot_read_is_a_dead_letter_and_not_reported_as_dropped(
    world: World,
) -> None:
    async with world.working():
        await send(world.channel, b"no event")

        async def refused() -> bool:
            return await waiting(world.channel, DEAD) == 1

        await eventually(refused)
    [letter] = await DeadLetters([figures()], world.broker).listed()
    assert letter.queue == VIEW
    assert await world.told() == 0
