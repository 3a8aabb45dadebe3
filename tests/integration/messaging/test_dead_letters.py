"""Dead letters can be listed, redriven, reissued and discarded."""

import asyncio
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.kernel.ids import uuid7
from libs.messaging.dead_letters import look as look_module
from libs.messaging.dead_letters.dead_letters import (
    DeadLetters,
    MayBeHandled,
    WouldComeBack,
    WouldStrand,
)
from libs.messaging.dead_letters.look import DeadLetterError
from libs.messaging.saga.participant import Participant
from libs.messaging.saga.reactions import Reactions
from tests.fixtures.polling import eventually
from tests.integration.messaging import sample
from tests.integration.messaging.effects import Subscribe, inbox_rows, until_reserved
from tests.integration.messaging.wire import dead, send, waiting


def stepping() -> Participant:
    """Return the credit service with a reaction that is a step of the purchase, not only a view."""
    on = Reactions[sample.CreditUnitOfWork]("credit")
    on.backward("order.placed.v1", sample.OrderPlacedView)(sample.reserve_credit)
    return Participant("credit", publishes=(sample.CreditReserved,), reactions=on)


@pytest.fixture
def letters(broker: str) -> DeadLetters:
    return DeadLetters([sample.shop(), sample.credit()], broker)


async def _refused(channel: AbstractChannel, *bodies: bytes, **headers: Any) -> None:
    """Put messages into the dead letters as a subscriber does."""
    await send(channel, *bodies, exchange="credit.dlx", routing_key=sample.QUEUE, headers=headers)


async def test_the_list_shows_what_where_and_why_and_folds_copies(
    channel: AbstractChannel, letters: DeadLetters
) -> None:
    event_id, placed = uuid7(), sample.order_placed()
    body = sample.on_the_wire(placed, event_id)
    await _refused(channel, body, body, **{"x-error": "KeyError", "x-attempts": 4})
    await _refused(channel, b"no event")
    first, second = await letters.listed()
    assert (first.id, first.subject) == (str(event_id), str(placed.order_id))
    assert (first.queue, first.type) == (sample.QUEUE, "order.placed.v1")
    assert (first.error, first.attempts, first.copies) == ("KeyError", 4, 2)
    assert (second.body, second.copies) == ("no event", 1)


async def test_listing_dead_letters_often_removes_none(
    channel: AbstractChannel, letters: DeadLetters
) -> None:
    await _refused(channel, b"one", b"two")
    for _ in range(30):  # RabbitMQ 4 drops a message after 20 if the queue has no limit
        assert len(await letters.listed("credit")) == 2


async def test_concurrent_listings_show_all_dead_letters(
    channel: AbstractChannel, letters: DeadLetters, broker: str
) -> None:
    await _refused(channel, b"one", b"two")
    others = [DeadLetters([sample.credit()], broker) for _ in range(5)]
    looks = [each.listed("credit") for each in (letters, *others) for _ in range(3)]
    assert [len(each) for each in await asyncio.gather(*looks)] == [2] * 18


async def test_a_listing_that_waits_too_long_for_another_fails_in_one_line(
    channel: AbstractChannel,
    letters: DeadLetters,
    broker: str,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(look_module, "TURN_SECONDS", 0.2)
    await _refused(channel, b"one")
    async with look_module.look(broker, "credit"):
        with pytest.raises(DeadLetterError, match="somebody else is at the dead letters of credit"):
            await letters.listed("credit")
    assert len(await letters.listed("credit")) == 1


@pytest.mark.long
@pytest.mark.timeout(1000)
async def test_twenty_thousand_listings_lose_no_dead_letter(
    channel: AbstractChannel, letters: DeadLetters
) -> None:
    await _refused(channel, b"one")
    queue = await channel.get_queue("credit.dead-letters")
    looks, done = 0, asyncio.Event()

    async def give_back(message: AbstractIncomingMessage) -> None:
        nonlocal looks
        looks += 1
        if looks >= 20_000:
            done.set()
        await message.reject(requeue=True)  # every RabbitMQ counts it as a delivery

    tag = await queue.consume(give_back)
    try:
        async with asyncio.timeout(900):
            await done.wait()
    finally:
        assert looks >= 20_000, f"gone after {looks} looks"
    await queue.cancel(tag)

    async def still_there() -> bool:
        return [each.body for each in await letters.listed("credit")] == ["one"]

    await eventually(still_there)


async def test_ten_thousand_dead_letters_are_listed_within_seconds(
    channel: AbstractChannel, letters: DeadLetters
) -> None:
    exchange = await channel.get_exchange("credit.dlx")
    for start in range(0, 10_000, 1000):
        bodies = [f"letter {number}".encode() for number in range(start, start + 1000)]
        await asyncio.gather(
            *(exchange.publish(aio_pika.Message(body), sample.QUEUE) for body in bodies)
        )
    async with asyncio.timeout(20):  # one request for each takes longer
        assert len(await letters.listed("credit")) == 10_000


async def test_a_redrive_reaches_the_one_queue_it_came_from_and_has_its_effect(
    engine: AsyncEngine, channel: AbstractChannel, letters: DeadLetters, subscribe: Subscribe
) -> None:
    event_id = uuid7()
    body = sample.on_the_wire(sample.order_placed(total_cents=9), event_id)
    await _refused(channel, body, body, **{"x-error": "KeyError", "x-attempts": 4})
    other = await channel.declare_queue("other", auto_delete=True)
    await other.bind("shop", "#")
    redriven = await letters.redrive("credit", [str(event_id)])
    assert [each.id for each in redriven.sent] == [str(event_id)]
    assert await waiting(channel) == 1
    assert await waiting(channel, "other") == 0
    assert await dead(channel) is None
    await subscribe()
    assert await until_reserved(engine, 1) == [9]


async def test_a_redriven_message_names_its_first_sender_and_not_its_old_failure(
    channel: AbstractChannel, letters: DeadLetters
) -> None:
    body = sample.on_the_wire(sample.order_placed())
    headers = {"x-error": "KeyError", "x-attempts": 4, "x-origin-user": "shop", "own": 1}
    await _refused(channel, body, **headers)
    await letters.redrive("credit")
    queue = await channel.get_queue(sample.QUEUE)
    message = await queue.get(no_ack=True)
    assert message is not None
    assert message.headers["x-origin-user"] == "shop"
    assert message.headers["own"] == 1
    assert not message.headers.keys() & {"x-error", "x-attempts"}
    assert message.delivery_mode == 2


async def test_a_redrive_the_broker_cannot_route_leaves_the_dead_letter(
    channel: AbstractChannel, letters: DeadLetters
) -> None:
    await _refused(channel, sample.on_the_wire(sample.order_placed()))
    queue = await channel.get_queue(sample.QUEUE)
    await queue.unbind("credit.redrive", sample.QUEUE)
    with pytest.raises(DeadLetterError):
        await letters.redrive("credit")

    async def still_there() -> bool:
        return len(await letters.listed("credit")) == 1

    await eventually(still_there)


OLD = datetime(2026, 1, 1, tzinfo=UTC)


def made_at(time: datetime) -> UUID:
    """Return an id of version 7 made at this time."""
    moment = int(time.timestamp() * 1000) << 80
    return UUID(int=moment | uuid7().int & (1 << 80) - 1)


async def test_a_letter_that_would_come_back_at_once_is_not_redriven_and_the_way_out_is_named(
    channel: AbstractChannel, letters: DeadLetters
) -> None:
    old, young = made_at(OLD), uuid7()
    bodies = [sample.on_the_wire(sample.order_placed(), each) for each in (old, young)]
    await _refused(channel, *bodies)
    way_out = f"made at 2026-01-01 00:00.*: dead reissue credit {old}"
    with pytest.raises(WouldComeBack, match=way_out):
        await letters.redrive("credit", [str(old), str(young)])
    assert len(await letters.listed("credit")) == 2
    assert await waiting(channel) == 0
    redriven = await letters.redrive("credit")
    assert [each.id for each in redriven.sent] == [str(young)]
    assert [each.id for each in redriven.kept] == [str(old)]
    assert [each.id for each in await letters.listed("credit")] == [str(old)]
    assert await waiting(channel) == 1


@pytest.mark.parametrize(
    ("body", "reason"),
    [(b"no event", "its body is no JSON object"), (b'{"id": "7"}', "not a UUID of version 7")],
)
async def test_a_dead_letter_that_no_service_can_read_is_not_redriven(
    channel: AbstractChannel, letters: DeadLetters, body: bytes, reason: str
) -> None:
    await _refused(channel, body)
    [letter] = await letters.listed("credit")
    with pytest.raises(WouldComeBack, match=reason):
        await letters.redrive("credit", [letter.id])


async def test_messages_without_an_id_are_named_apart(
    channel: AbstractChannel, letters: DeadLetters
) -> None:
    await _refused(channel, b"one", b"two")
    one, two = await letters.listed("credit")
    await letters.discard("credit", [one.id])
    assert [each.id for each in await letters.listed("credit")] == [two.id]


async def test_an_event_too_old_to_be_known_is_reissued_under_a_new_id_with_its_cause(
    engine: AsyncEngine, channel: AbstractChannel, letters: DeadLetters, subscribe: Subscribe
) -> None:
    old = made_at(OLD)
    body = sample.on_the_wire(sample.order_placed(total_cents=7), old)
    await _refused(channel, body, body)
    with pytest.raises(MayBeHandled, match="a new id has a new effect"):
        await letters.reissue("credit", [str(old)])
    [(letter, new_id)] = await letters.reissue("credit", [str(old)], not_handled=True)
    assert letter.id == str(old)
    assert await letters.listed("credit") == []
    queue = await channel.get_queue(sample.QUEUE)
    message = await queue.get()
    assert message is not None
    sent = json.loads(message.body)
    assert (sent["id"], sent["causationid"]) == (new_id, str(old))
    assert message.message_id == new_id
    assert {**sent, "id": 0, "causationid": 0} == {**json.loads(body), "id": 0, "causationid": 0}
    await message.reject(requeue=True)
    await subscribe()
    assert await until_reserved(engine, 1) == [7]


async def test_an_event_reissued_twice_has_one_effect(
    engine: AsyncEngine, channel: AbstractChannel, letters: DeadLetters, subscribe: Subscribe
) -> None:
    """A crash between the confirm and the acknowledgement of the dead letter does the same."""
    old = made_at(OLD)
    body = sample.on_the_wire(sample.order_placed(total_cents=7), old)
    for _ in range(2):
        await _refused(channel, body)
        await letters.reissue("credit", [str(old)], not_handled=True)
    await subscribe()

    async def both_are_settled() -> bool:
        return await waiting(channel) == 0 and await inbox_rows(engine) == 1

    await eventually(both_are_settled)
    assert await until_reserved(engine, 1) == [7]
    assert await letters.listed("credit") == []


async def test_an_event_that_an_inbox_may_still_know_is_not_reissued(
    channel: AbstractChannel, letters: DeadLetters
) -> None:
    event_id = uuid7()
    await _refused(channel, sample.on_the_wire(sample.order_placed(), event_id))
    with pytest.raises(MayBeHandled, match=f"dead redrive credit {event_id} sends it without risk"):
        await letters.reissue("credit", [str(event_id)], not_handled=True)
    assert len(await letters.listed("credit")) == 1


async def test_a_record_that_a_caller_may_not_see_is_404(
    channel: AbstractChannel, letters: DeadLetters
) -> None:
    event_id = str(uuid7())
    await _refused(channel, sample.on_the_wire(sample.order_placed(), UUID(event_id)))
    for act in (letters.redrive, letters.discard, letters.reissue):
        with pytest.raises(DeadLetterError, match="no dead letter with id"):
            await act("credit", [event_id], only=lambda _: False)
    assert len(await letters.listed("credit")) == 1


async def test_a_view_may_be_discarded_and_the_others_stay(
    channel: AbstractChannel, letters: DeadLetters
) -> None:
    ids = [uuid7(), uuid7()]
    await _refused(channel, *[sample.on_the_wire(sample.order_placed(), each) for each in ids])
    await letters.discard("credit", [str(ids[0])])

    async def one_left() -> bool:
        return [each.id for each in await letters.listed()] == [str(ids[1])]

    await eventually(one_left)


async def test_discarding_a_step_of_a_purchase_has_to_be_meant(
    channel: AbstractChannel, broker: str
) -> None:
    letters = DeadLetters([stepping()], broker)
    event_id, placed = uuid7(), sample.order_placed()
    await _refused(channel, sample.on_the_wire(placed, event_id))
    with pytest.raises(WouldStrand, match=str(placed.order_id)):
        await letters.discard("credit", [str(event_id)])

    async def still_there() -> bool:
        return len(await letters.listed()) == 1

    await eventually(still_there)
    await letters.discard("credit", [str(event_id)], stranding=True)
    assert await letters.listed() == []


async def test_an_id_or_a_service_nobody_knows_is_a_clear_line(letters: DeadLetters) -> None:
    with pytest.raises(DeadLetterError, match="no dead letter with id nothing"):
        await letters.redrive("credit", ["nothing"])
    with pytest.raises(DeadLetterError, match="no service nowhere; there are shop, credit"):
        await letters.listed("nowhere")


async def test_a_message_the_subscriber_refused_can_be_redriven_when_the_cause_is_mended(
    engine: AsyncEngine, channel: AbstractChannel, letters: DeadLetters, subscribe: Subscribe
) -> None:
    async def broken(*_: object) -> None:
        raise KeyError

    subscriber = await subscribe(broken)
    await send(channel, sample.on_the_wire(sample.order_placed(total_cents=3)))

    async def refused() -> bool:
        return len(await letters.listed()) == 1

    await eventually(refused)
    await subscriber.stop()
    [letter] = await letters.listed()
    assert letter.error.startswith("KeyError")
    assert json.loads(letter.body)["id"] == letter.id
    await subscribe()
    await letters.redrive("credit", [letter.id])
    assert await until_reserved(engine, 1) == [3]
