"""Messages that cannot be handled become dead letters, and the others go on."""

import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from yarl import URL

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from libs.messaging.envelope import Received
from tests.fixtures.polling import eventually
from tests.integration.messaging import sample
from tests.integration.messaging.effects import Subscribe, counted, reserved, until_reserved
from tests.integration.messaging.wire import dead, send, waiting

Envelope = dict[str, Any]


def _aged(age: timedelta) -> str:
    moment = int((utc_now() - age).timestamp() * 1000)
    return str(UUID(int=moment << 80 | uuid7().int & (1 << 80) - 1))


def _without_total(envelope: Envelope) -> Envelope:
    del envelope["data"]["total_cents"]
    return envelope


SPOILED: dict[str, Callable[[Envelope], Envelope]] = {
    "field missing": _without_total,
    "field of another kind": lambda e: e | {"data": e["data"] | {"total_cents": "a lot"}},
    "no data": lambda e: e | {"data": None},
    "time without a zone": lambda e: e | {"time": "2026-01-01T00:00:00"},
    "unknown version": lambda e: e | {"type": "order.placed.v9"},
    "id of another version": lambda e: e | {"id": str(uuid4())},
    "id no UUID": lambda e: e | {"id": "first"},
    "id older than the inbox": lambda e: e | {"id": _aged(timedelta(days=15))},
    "id days ahead": lambda e: e | {"id": _aged(timedelta(days=-3))},
    "id beyond all calendars": lambda e: e | {"id": "ffffffff-ffff-7fff-bfff-ffffffffffff"},
}


async def _next_dead(channel: AbstractChannel) -> AbstractIncomingMessage:
    async def found() -> AbstractIncomingMessage | None:
        return await dead(channel)

    message = await eventually(found)
    assert message is not None
    return message


@pytest.mark.parametrize("spoil", SPOILED.values(), ids=SPOILED)
async def test_an_unreadable_message_goes_to_the_dead_letters_at_once(
    engine: AsyncEngine,
    channel: AbstractChannel,
    subscribe: Subscribe,
    spoil: Callable[[Envelope], Envelope],
) -> None:
    envelope = spoil(json.loads(sample.on_the_wire(sample.order_placed())))
    subscriber = await subscribe()
    good = sample.on_the_wire(sample.order_placed(total_cents=5))
    await send(channel, json.dumps(envelope).encode(), good)
    message = await _next_dead(channel)
    assert json.loads(message.body) == envelope
    assert message.headers["x-attempts"] == 1
    assert message.headers["x-origin-queue"] == sample.QUEUE
    assert await until_reserved(engine, 1) == [5]
    await subscriber.stop()
    assert await waiting(channel) == 0


async def test_a_body_that_is_no_json_goes_to_the_dead_letters_at_once(
    channel: AbstractChannel, subscribe: Subscribe, vhost: str
) -> None:
    await subscribe()
    user = URL(vhost).user
    await send(channel, b"\xff{", user_id=user, headers={"x-own": "kept"})
    message = await _next_dead(channel)
    assert message.body == b"\xff{"
    assert message.headers["x-error"]
    assert message.headers["x-own"] == "kept"
    assert message.headers["x-origin-user"] == user


async def test_the_reason_given_holds_no_values(
    channel: AbstractChannel, subscribe: Subscribe
) -> None:
    envelope = json.loads(sample.on_the_wire(sample.order_placed()))
    envelope["data"]["total_cents"] = "ana@example.com"
    await subscribe()
    await send(channel, json.dumps(envelope).encode())
    message = await _next_dead(channel)
    assert "total_cents" in str(message.headers["x-error"])
    assert "ana" not in str(message.headers)


async def test_the_same_id_with_another_content_goes_to_the_dead_letters_with_an_alert(
    engine: AsyncEngine, channel: AbstractChannel, subscribe: Subscribe
) -> None:
    before = counted("messaging_dead_letters_total", why="tampered")
    event_id = uuid7()
    subscriber = await subscribe()
    await send(channel, sample.on_the_wire(sample.order_placed(total_cents=1), event_id))
    await until_reserved(engine, 1)
    other = sample.on_the_wire(sample.order_placed(total_cents=2), event_id)
    await send(channel, other)
    message = await _next_dead(channel)
    assert message.body == other
    await subscriber.stop()
    assert counted("messaging_dead_letters_total", why="tampered") == before + 1
    assert await reserved(engine) == [1]


async def test_two_contents_with_one_id_in_one_batch_do_not_pass_as_copies(
    engine: AsyncEngine, channel: AbstractChannel, subscribe: Subscribe
) -> None:
    event_id, order_id = uuid7(), uuid7()
    bodies = [
        sample.on_the_wire(sample.order_placed(order_id, total_cents=n), event_id) for n in (1, 2)
    ]
    await send(channel, *bodies)
    await subscribe()
    message = await _next_dead(channel)
    assert message.body == bodies[1]
    assert await until_reserved(engine, 1) == [1]


async def test_poison_is_given_up_after_its_retries_and_the_good_ones_beside_it_go_on(
    engine: AsyncEngine, channel: AbstractChannel, subscribe: Subscribe
) -> None:
    tried: list[int] = []

    async def poisoned(
        unit: sample.CreditUnitOfWork, event: Received[sample.OrderPlacedView]
    ) -> None:
        tried.append(event.data.total_cents)
        await sample.reserve_credit(unit, event)
        if event.data.total_cents == 13:
            raise KeyError("ana@example.com")
        if event.data.total_cents == 17:
            await unit.connection.execute(text("SELECT 1/0"))

    totals = [n for n in range(40) if n not in (13, 17)]
    await send(
        channel, *[sample.on_the_wire(sample.order_placed(total_cents=n)) for n in range(40)]
    )
    subscriber = await subscribe(poisoned)
    assert sorted(await until_reserved(engine, 38)) == totals
    given_up = [await _next_dead(channel) for _ in range(2)]
    assert {json.loads(each.body)["data"]["total_cents"] for each in given_up} == {13, 17}
    assert {each.headers["x-attempts"] for each in given_up} == {4}
    assert {str(each.headers["x-error"]).split()[0] for each in given_up} == {
        "KeyError",
        "DBAPIError",
    }
    assert not any("ana" in str(each.headers) for each in given_up)
    assert tried.count(13) >= 4
    await subscriber.stop()
    assert await dead(channel) is None
    assert await waiting(channel) == 0
    assert sorted(await reserved(engine)) == totals


async def test_a_reaction_that_fails_twice_and_then_succeeds_has_one_effect(
    engine: AsyncEngine, channel: AbstractChannel, subscribe: Subscribe
) -> None:
    tries = 0

    async def flaky(unit: sample.CreditUnitOfWork, event: Received[sample.OrderPlacedView]) -> None:
        nonlocal tries
        tries += 1
        await sample.reserve_credit(unit, event)
        if tries < 3:
            raise RuntimeError("not yet")

    subscriber = await subscribe(flaky)
    await send(channel, sample.on_the_wire(sample.order_placed()))
    await until_reserved(engine, 1)
    await subscriber.stop()
    assert tries == 3
    assert await dead(channel) is None
    assert await reserved(engine) == [100]


async def test_poison_does_not_keep_later_messages_waiting(
    engine: AsyncEngine, channel: AbstractChannel, subscribe: Subscribe
) -> None:
    release = asyncio.Event()

    async def poisoned(
        unit: sample.CreditUnitOfWork, event: Received[sample.OrderPlacedView]
    ) -> None:
        if event.data.total_cents == 13 and not release.is_set():
            raise RuntimeError("poison")
        await sample.reserve_credit(unit, event)

    await subscribe(poisoned)
    await send(channel, sample.on_the_wire(sample.order_placed(total_cents=13)))
    await send(channel, sample.on_the_wire(sample.order_placed(total_cents=1)))
    assert await until_reserved(engine, 1) == [1]
    release.set()
    assert await until_reserved(engine, 2) == [1, 13]


async def test_a_message_is_kept_until_the_dead_letter_queue_takes_it(
    channel: AbstractChannel, subscribe: Subscribe
) -> None:
    queue = await channel.get_queue("credit.dead-letters")
    await queue.unbind("credit.dlx", "credit.dead-letters")
    before = counted("messaging_dead_letters_total", why="unreadable")
    subscriber = await subscribe()
    await send(channel, b"no event")

    async def held() -> bool:
        return counted("messaging_held") == 1

    await eventually(held)
    assert counted("messaging_dead_letters_total", why="unreadable") == before
    await queue.bind("credit.dlx", "credit.dead-letters")
    assert (await _next_dead(channel)).body == b"no event"
    await subscriber.stop()
    assert await waiting(channel) == 0
