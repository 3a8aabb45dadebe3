"""Topologies are declared and compared, and events are replayed, on a real broker."""

import asyncio
from datetime import timedelta
from urllib.parse import urlsplit

import aio_pika
import asyncpg
import httpx
import pytest
from aio_pika.abc import AbstractChannel
from pamqp.common import FieldTable
from sqlalchemy import insert
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from libs.messaging import topology
from libs.messaging.dead_letters.dead_letters import DeadLetters
from libs.messaging.dead_letters.replay import replay
from libs.messaging.topology import TopologyError
from tests.fixtures.polling import eventually
from tests.fixtures.servers import RabbitMQServer
from tests.integration.messaging import sample
from tests.integration.messaging.wire import dead, send, waiting

QUORUM: FieldTable = {"x-queue-type": "quorum"}
SAMPLE = topology.topology_of([sample.shop(), sample.credit()])


async def _problems(server: RabbitMQServer, vhost: str) -> list[str]:
    name = urlsplit(vhost).path.removeprefix("/")
    return await topology.check(server.management_url, name, SAMPLE)


async def test_applying_makes_all_there_is_to_find_and_again_changes_nothing(
    vhost: str, rabbitmq_server: RabbitMQServer
) -> None:
    missing = await _problems(rabbitmq_server, vhost)
    assert f"queue {sample.QUEUE}: missing" in missing
    assert "exchange shop: missing" in missing
    await topology.apply(vhost, SAMPLE)
    await topology.apply(vhost, SAMPLE)
    assert await _problems(rabbitmq_server, vhost) == []


async def test_a_differing_declaration_stops_with_one_clear_line_and_deletes_nothing(
    vhost: str, rabbitmq_server: RabbitMQServer
) -> None:
    async with await aio_pika.connect(vhost) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue(sample.QUEUE, durable=True)
        await channel.default_exchange.publish(aio_pika.Message(b"kept"), sample.QUEUE)
        with pytest.raises(TopologyError) as stopped:
            await topology.apply(vhost, SAMPLE)
        assert "PRECONDITION_FAILED" in str(stopped.value)
        assert sample.QUEUE in str(stopped.value)
        assert "\n" not in str(stopped.value)
        kept = await queue.get(no_ack=True)
        assert kept is not None
    problems = await _problems(rabbitmq_server, vhost)
    assert any(each.startswith(f"queue {sample.QUEUE}: arguments are") for each in problems)


async def test_checking_names_a_binding_that_is_gone(
    broker: str, channel: AbstractChannel, rabbitmq_server: RabbitMQServer
) -> None:
    queue = await channel.get_queue(sample.QUEUE)
    await queue.unbind("shop", "order.placed.v1")
    assert await _problems(rabbitmq_server, broker) == [
        f"queue {sample.QUEUE}: not bound to shop by order.placed.v1"
    ]


async def test_applying_moves_dead_letters_out_of_the_queue_of_an_earlier_version(
    vhost: str,
) -> None:
    gone = "credit.on.order.lost.v1"
    async with await aio_pika.connect(vhost) as connection:
        channel = await connection.channel(on_return_raises=True)
        exchange = await channel.declare_exchange("credit.dlx", "direct", durable=True)
        arguments = QUORUM | {"x-delivery-limit": 10_000}
        former = await channel.declare_queue("credit.dead", durable=True, arguments=arguments)
        for key in (sample.QUEUE, gone):
            await former.bind(exchange, key)
            message = aio_pika.Message(
                key.encode(), headers={"x-error": "KeyError"}, delivery_mode=2
            )
            await exchange.publish(message, key)
        in_hand = await former.get()
        assert in_hand is not None
        assert await topology.apply(vhost, SAMPLE) == 1
        await in_hand.reject(requeue=True)  # a person looked into the old queue meanwhile

        async def is_back() -> bool:
            return await waiting(channel, "credit.dead") == 1

        await eventually(is_back)
        assert await topology.apply(vhost, SAMPLE) == 1
        assert await topology.apply(vhost, SAMPLE) == 0
        letters = await DeadLetters([sample.credit()], vhost).listed("credit")
        assert {(each.queue, each.body, each.error) for each in letters} == {
            (sample.QUEUE, sample.QUEUE, "KeyError"),
            (gone, gone, "KeyError"),
        }
        await exchange.publish(aio_pika.Message(b"next"), sample.QUEUE)
        assert await waiting(channel, "credit.dead") == 0


@pytest.mark.long
@pytest.mark.slow
async def test_checking_names_what_is_no_longer_wanted_and_pruning_takes_what_is_empty(
    broker: str, channel: AbstractChannel, rabbitmq_server: RabbitMQServer
) -> None:
    for name in ("credit.on.order.placed.v0", "credit.on.order.lost.v0"):
        queue = await channel.declare_queue(name, durable=True, arguments=QUORUM)
        await queue.bind("shop", name.partition(".on.")[2])
    await send(channel, b"kept", routing_key="order.placed.v0")
    await channel.declare_exchange("shop.old", "topic", durable=True)
    wanted = await channel.get_queue(sample.QUEUE)
    await wanted.bind("shop", "order.placed.v0")
    theirs = await channel.declare_queue("firehose", durable=True, arguments=QUORUM)
    await theirs.bind("shop", "#")
    await channel.declare_queue("credit.dead-letters.look", exclusive=True)
    unwanted = {
        "queue credit.on.order.placed.v0: no longer wanted, holds 1 message",
        "queue credit.on.order.lost.v0: no longer wanted, holds 0 messages",
        "exchange shop.old: no longer wanted",
        f"queue {sample.QUEUE}: no longer wanted to be bound to shop by order.placed.v0",
    }

    async def all_counted() -> bool:
        return set(await _problems(rabbitmq_server, broker)) == unwanted

    await eventually(all_counted, 20)
    vhost = urlsplit(broker).path.removeprefix("/")
    pruned = await topology.prune(broker, rabbitmq_server.management_url, vhost, SAMPLE)
    assert pruned.kept == ["queue credit.on.order.placed.v0: no longer wanted, holds 1 message"]
    assert set(pruned.gone) == unwanted - set(pruned.kept)
    assert await _problems(rabbitmq_server, broker) == pruned.kept
    await send(channel, b"kept", routing_key="order.placed.v0")  # still bound: it is in use
    assert await waiting(channel, "credit.on.order.placed.v0") == 2


@pytest.mark.long
async def test_pruning_keeps_a_queue_that_is_filled_or_looked_at_meanwhile(
    broker: str, channel: AbstractChannel, rabbitmq_server: RabbitMQServer
) -> None:
    queue = await channel.declare_queue("credit.on.old.v1", durable=True, arguments=QUORUM)
    await queue.bind("shop", "old.v1")
    vhost = urlsplit(broker).path.removeprefix("/")
    pruning = asyncio.create_task(
        topology.prune(broker, rabbitmq_server.management_url, vhost, SAMPLE)
    )

    async def unbound() -> bool:
        async with httpx.AsyncClient(base_url=rabbitmq_server.management_url) as client:
            rows = (await client.get(f"/api/queues/{vhost}/credit.on.old.v1/bindings")).json()
        return not [row for row in rows if row["source"] == "shop"]

    await eventually(unbound)
    await channel.default_exchange.publish(aio_pika.Message(b"late"), "credit.on.old.v1")
    in_hand = await queue.get()
    assert in_hand is not None  # ready is 0 now, and the message is not lost
    assert len((await pruning).kept) == 1
    await in_hand.reject(requeue=True)
    await send(channel, b"bound again", routing_key="old.v1")

    async def both() -> bool:
        return await waiting(channel, "credit.on.old.v1") == 2

    await eventually(both)


async def test_an_unreachable_broker_is_one_clear_line() -> None:
    with pytest.raises(TopologyError, match="cannot declare on RabbitMQ"):
        await topology.apply("amqp://127.0.0.1:1/", SAMPLE)
    with pytest.raises(TopologyError, match="cannot use RabbitMQ's management API"):
        await topology.check("http://127.0.0.1:1", "/", SAMPLE)


async def test_every_queue_is_a_quorum_queue_that_gives_up_no_message_on_its_own() -> None:
    for queue in SAMPLE.queues:
        assert queue.arguments["x-queue-type"] == "quorum"
        assert queue.arguments["x-delivery-limit"] >= 1000
        assert queue.arguments["x-overflow"] == "reject-publish"
    [reaction] = [each for each in SAMPLE.queues if each.name == sample.QUEUE]
    assert reaction.arguments["x-dead-letter-exchange"] == "credit.dlx"
    assert reaction.arguments["x-dead-letter-strategy"] == "at-least-once"
    assert reaction.arguments["x-consumer-timeout"] == 12 * 3600 * 1000


async def test_a_message_that_the_broker_gives_up_reaches_the_dead_letters(
    channel: AbstractChannel,
) -> None:
    await send(channel, b"{}")
    queue = await channel.get_queue(sample.QUEUE)
    message = await queue.get()
    assert message is not None
    await message.reject(requeue=False)
    consumer = await channel.get_queue("credit.dead-letters")
    async with consumer.iterator(timeout=10) as letters:
        async for letter in letters:
            assert letter.routing_key == sample.QUEUE
            await letter.ack()
            break


@pytest.mark.long
async def test_a_crash_loop_of_consumers_sends_no_good_message_to_the_dead_letters(
    channel: AbstractChannel, broker: str
) -> None:
    await send(channel, b"{}")

    async def came_again(number: int) -> None:
        async with await aio_pika.connect(broker) as connection:
            queue = await (await connection.channel()).get_queue(sample.QUEUE)

            async def taken() -> bool:
                message = await queue.get(fail=False)
                return message is not None and message.redelivered is (number > 0)

            await eventually(taken)

    for number in range(25):
        await came_again(number)
    assert await dead(channel) is None


async def test_a_replay_restores_a_queues_events_to_that_queue_only(
    engine: AsyncEngine, database: str, broker: str, channel: AbstractChannel
) -> None:
    events = [(uuid7(), sample.order_placed(total_cents=n)) for n in range(3)]
    rows = [
        {
            "seq": number,
            "id": event_id,
            "subject": str(event.order_id),
            "type": event.type,
            "body": sample.on_the_wire(event, event_id),
            "created_at": utc_now() - (timedelta(hours=2) if number == 0 else timedelta()),
        }
        for number, (event_id, event) in enumerate(events)
    ]
    other = rows[1] | {"seq": 9, "id": uuid7(), "type": "order.closed.v1"}
    async with engine.begin() as connection:
        await connection.execute(insert(sample.TABLES.outbox_archive), [*rows, other])
    archive = await asyncpg.connect(database.replace("+asyncpg", ""))
    other_queue = await channel.declare_queue("other", auto_delete=True)
    await other_queue.bind("shop", "#")
    try:
        since = utc_now() - timedelta(hours=1)
        assert await replay(broker, archive, sample.QUEUE, since) == 2
    finally:
        await archive.close()
    queue = await channel.get_queue(sample.QUEUE)
    for row in rows[1:]:
        message = await queue.get(no_ack=True)
        assert message is not None
        assert message.body == row["body"]
        assert message.message_id == str(row["id"])
    assert await waiting(channel, "other") == 0
    assert await dead(channel) is None
