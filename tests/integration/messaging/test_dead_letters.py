"""Looking at the dead letters, sending them again, throwing them away."""

import json
from typing import Any

import pytest
from aio_pika.abc import AbstractChannel
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.kernel.ids import uuid7
from libs.messaging.dead_letters.dead_letters import DeadLetterError, DeadLetters, WouldStrand
from libs.messaging.inbox.reactions import Reactions
from libs.messaging.saga.participant import Participant
from tests.fixtures.polling import eventually
from tests.integration.messaging import sample
from tests.integration.messaging.effects import Subscribe, until_reserved
from tests.integration.messaging.wire import dead, send, waiting


def stepping() -> Participant:
    """The credit service, its reaction a step of the purchase and not only a view."""
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


async def test_looking_takes_nothing_away(channel: AbstractChannel, letters: DeadLetters) -> None:
    await _refused(channel, b"one", b"two")
    assert len(await letters.listed()) == 2

    async def still_both() -> bool:
        return len(await letters.listed("credit")) == 2

    await eventually(still_both)


async def test_a_redrive_reaches_the_one_queue_it_came_from_and_has_its_effect(
    engine: AsyncEngine, channel: AbstractChannel, letters: DeadLetters, subscribe: Subscribe
) -> None:
    event_id = uuid7()
    body = sample.on_the_wire(sample.order_placed(total_cents=9), event_id)
    await _refused(channel, body, body, **{"x-error": "KeyError", "x-attempts": 4})
    other = await channel.declare_queue("other", auto_delete=True)
    await other.bind("shop", "#")
    assert [each.id for each in await letters.redrive("credit", [str(event_id)])] == [str(event_id)]
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
    await _refused(channel, b"one")
    queue = await channel.get_queue(sample.QUEUE)
    await queue.unbind("credit.redrive", sample.QUEUE)
    with pytest.raises(DeadLetterError):
        await letters.redrive("credit")

    async def still_there() -> bool:
        return len(await letters.listed("credit")) == 1

    await eventually(still_there)


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
