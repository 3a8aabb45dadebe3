"""When a service that only keeps views stops, its queues stay small and delay no other service."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import aio_pika
import httpx
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from pamqp.common import FieldTable

from libs.messaging import topology
from libs.messaging.dead_letters.dead_letters import DeadLetters
from libs.messaging.topology import Binding
from libs.messaging.view_queues import VIEW_QUEUE_BYTES
from tests.fixtures.polling import eventually
from tests.fixtures.servers import RabbitMQServer
from tests.integration.messaging import sample
from tests.integration.messaging.viewing import (
    DEAD,
    KEPT,
    OVERFLOW,
    VIEW,
    applied,
    bounded,
    figures,
    name_of,
)
from tests.integration.messaging.wire import send, waiting

EACH = 1_000
"""Bytes of a message."""
FITTING, SENT = 20, 200
SMALL = bounded(FITTING * EACH)


def numbered(count: int) -> list[bytes]:
    return [str(number).encode().ljust(EACH) for number in range(count)]


@pytest.fixture
async def channel(vhost: str) -> AsyncIterator[AbstractChannel]:
    async with await aio_pika.connect(vhost) as connection:
        yield await connection.channel(on_return_raises=True)


async def taken(channel: AbstractChannel, queue: str) -> list[bytes]:
    """Remove all messages from the queue, and return their bodies."""
    declared = await channel.get_queue(queue)
    found = []
    while message := await declared.get(no_ack=True, fail=False):
        found.append(message.body)
    return found


async def test_a_view_that_stands_still_refuses_nothing_and_drops_its_oldest(
    vhost: str, rabbitmq_server: RabbitMQServer, channel: AbstractChannel
) -> None:
    await applied(vhost, rabbitmq_server, SMALL)
    bodies = numbered(SENT)

    await send(channel, *bodies)  # each waits for its confirm, and a nack raises

    assert await taken(channel, VIEW) == bodies[-FITTING:]
    [told] = await taken(channel, OVERFLOW)
    assert told == bodies[-FITTING - 1]
    assert await waiting(channel, DEAD) == 0


FORMER = replace(
    SMALL,
    queues=tuple(each for each in SMALL.queues if each.name != OVERFLOW),
    bindings=(
        *(each for each in SMALL.bindings if each.queue not in (OVERFLOW, DEAD)),
        Binding("figures.dlx", DEAD, VIEW),
        Binding("figures.dlx", DEAD, KEPT),
    ),
)
"""An earlier version declared the queue like this."""


async def test_a_queue_of_an_earlier_version_is_bounded_while_it_holds_messages(
    vhost: str, rabbitmq_server: RabbitMQServer, channel: AbstractChannel
) -> None:
    await topology.apply(vhost, FORMER)
    bodies = numbered(SENT)
    await send(channel, *bodies)
    assert await waiting(channel, VIEW) == SENT

    await applied(vhost, rabbitmq_server, SMALL)
    await applied(vhost, rabbitmq_server, SMALL)

    async def trimmed() -> bool:
        return await waiting(channel, VIEW) == FITTING

    await eventually(trimmed)
    assert await taken(channel, VIEW) == bodies[-FITTING:]
    assert len(await taken(channel, OVERFLOW)) == 1
    assert await waiting(channel, DEAD) == 0


async def test_messages_in_hand_stay_in_hand_while_their_queue_is_bounded(
    vhost: str, rabbitmq_server: RabbitMQServer, channel: AbstractChannel
) -> None:
    await topology.apply(vhost, FORMER)
    bodies = numbered(SENT)
    consumed: list[bytes] = []
    go_on = asyncio.Event()

    async def consume(message: AbstractIncomingMessage) -> None:
        await go_on.wait()
        consumed.append(message.body)
        await message.ack()

    async with await aio_pika.connect(vhost) as connection:
        consuming = await connection.channel()
        await consuming.set_qos(prefetch_count=5)
        await (await consuming.get_queue(VIEW)).consume(consume)
        await send(channel, *bodies)
        await applied(vhost, rabbitmq_server, SMALL)

        async def trimmed() -> bool:
            return await waiting(channel, VIEW) == FITTING

        await eventually(trimmed)
        go_on.set()

        async def all_consumed() -> bool:
            return len(consumed) >= FITTING + 5

        await eventually(all_consumed)
    assert consumed == bodies[:5] + bodies[-FITTING:]


async def test_dead_letters_of_two_versions_ago_do_not_take_what_is_dropped(
    vhost: str, rabbitmq_server: RabbitMQServer, channel: AbstractChannel
) -> None:
    await topology.apply(vhost, FORMER)
    arguments: FieldTable = {"x-queue-type": "quorum"}
    former = await channel.declare_queue("figures.dead", durable=True, arguments=arguments)
    await former.bind("figures.dlx", VIEW)
    await channel.queue_delete(DEAD)
    await send(channel, b"{}", exchange="figures.dlx", routing_key=VIEW)

    await applied(vhost, rabbitmq_server, SMALL)
    await send(channel, *numbered(SENT))

    [letter] = await DeadLetters([figures()], vhost).listed()
    assert (letter.queue, letter.body) == (VIEW, "{}")
    assert await waiting(channel, "figures.dead") == 0


async def test_a_view_that_is_kept_and_a_step_of_others_drop_nothing(
    vhost: str, rabbitmq_server: RabbitMQServer, channel: AbstractChannel
) -> None:
    await applied(vhost, rabbitmq_server, SMALL)
    kept = await channel.get_queue(KEPT)
    await kept.bind("shop", "order.lost.v1")

    await send(channel, *numbered(SENT), routing_key="order.lost.v1")

    assert await waiting(channel, KEPT) == SENT
    assert not topology.topology_of([sample.shop(), sample.credit()]).policies


async def test_checking_names_a_bound_that_is_missing_differs_or_is_not_the_one_in_force(
    vhost: str, rabbitmq_server: RabbitMQServer
) -> None:
    async def problems(wanted: topology.Topology) -> list[str]:
        return await topology.check(rabbitmq_server.management_url, name_of(vhost), wanted)

    await topology.apply(vhost, SMALL)
    assert await problems(SMALL) == ["policy figures.views: missing, so its queues have no bound"]
    await applied(vhost, rabbitmq_server, SMALL)
    assert await problems(SMALL) == []

    usual = topology.topology_of([sample.shop(), figures()])
    [differs] = await problems(usual)
    assert differs.startswith("policy figures.views: is {")
    assert str(VIEW_QUEUE_BYTES) in differs

    theirs = {"pattern": "on", "definition": {"max-length": 9}, "priority": 99}
    async with httpx.AsyncClient(base_url=rabbitmq_server.management_url) as client:
        place = f"/api/policies/{name_of(vhost)}/everything"
        (await client.put(place, json=theirs)).raise_for_status()
    assert await problems(SMALL) == [
        f"policy figures.views: everything is preferred to it for {VIEW}"
    ]


async def test_a_service_that_begins_to_publish_has_no_bound_any_more(
    vhost: str, rabbitmq_server: RabbitMQServer, channel: AbstractChannel
) -> None:
    await applied(vhost, rabbitmq_server, SMALL)
    publishing = replace(figures(), publishes=(sample.CreditReserved,))
    wanted = topology.topology_of([sample.shop(), publishing])

    await applied(vhost, rabbitmq_server, wanted)

    await send(channel, *numbered(SENT))
    assert await waiting(channel, VIEW) == SENT
    assert await topology.check(rabbitmq_server.management_url, name_of(vhost), wanted) == [
        f"queue {OVERFLOW}: no longer wanted, holds 0 messages"
    ]
