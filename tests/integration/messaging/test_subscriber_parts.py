"""A part of a subscriber that fails is restarted; its messages come again, and
readiness reports it.
"""

import asyncio
from collections.abc import Sequence

import pytest
from aio_pika import IncomingMessage
from aio_pika.abc import AbstractChannel
from faststream.rabbit.subscriber.usecase import RabbitSubscriber
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.messaging.inbox.consumer import QueueConsumer
from libs.messaging.inbox.dead_letter_publisher import DeadLetterPublisher
from libs.messaging.inbox.delivery import Delivery
from libs.messaging.inbox.inbox import Verdict
from tests.fixtures.polling import eventually
from tests.integration.messaging import sample
from tests.integration.messaging.effects import Subscribe, counted, reserved, until_reserved
from tests.integration.messaging.wire import dead, send, waiting

ERRORS = [ZeroDivisionError(), asyncio.CancelledError()]
"""The first is an error of ours. aiormq raises the second in a call while a connection closes."""


def placed(count: int) -> list[bytes]:
    return [sample.on_the_wire(sample.order_placed(total_cents=n)) for n in range(count)]


@pytest.mark.parametrize("error", ERRORS, ids=["own", "cancelled"])
async def test_a_consumer_that_fails_starts_again_and_gets_back_what_it_held(
    engine: AsyncEngine,
    channel: AbstractChannel,
    subscribe: Subscribe,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
) -> None:
    async def failing(
        self: QueueConsumer[sample.CreditUnitOfWork],
        deliveries: Sequence[Delivery],
        verdicts: Sequence[Verdict],
    ) -> None:
        raise error

    subscriber = await subscribe()
    with monkeypatch.context() as broken:
        broken.setattr(QueueConsumer, "_settle", failing)
        await send(channel, *placed(20))

        async def says_so() -> bool:
            return not await subscriber.ready() and sample.QUEUE in (subscriber.note() or "")

        await eventually(says_so)
    assert sorted(await until_reserved(engine, 20)) == list(range(20))

    async def well() -> bool:
        return await subscriber.ready() and subscriber.note() is None

    await eventually(well)
    await subscriber.stop()
    assert await waiting(channel) == 0
    assert sorted(await reserved(engine)) == list(range(20))


@pytest.mark.parametrize("error", ERRORS, ids=["own", "cancelled"])
async def test_a_subscriber_goes_on_after_an_acknowledgement_that_fails(
    engine: AsyncEngine,
    channel: AbstractChannel,
    subscribe: Subscribe,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
) -> None:
    genuine, failures = IncomingMessage.ack, 3

    async def failing(self: IncomingMessage, multiple: bool = False) -> None:
        nonlocal failures
        failures -= 1
        if failures >= 0:
            raise error
        await genuine(self, multiple)

    monkeypatch.setattr(IncomingMessage, "ack", failing)
    subscriber = await subscribe()
    await send(channel, *placed(10))
    await until_reserved(engine, 10)

    async def all_settled() -> bool:
        return failures < -9 and await subscriber.ready()

    await eventually(all_settled)
    await subscriber.stop()
    assert sorted(await reserved(engine)) == list(range(10))
    assert await waiting(channel) == 0


@pytest.mark.parametrize("error", ERRORS, ids=["own", "cancelled"])
async def test_a_dead_letter_that_cannot_be_published_is_tried_again_beside_good_messages(
    engine: AsyncEngine,
    channel: AbstractChannel,
    subscribe: Subscribe,
    monkeypatch: pytest.MonkeyPatch,
    error: BaseException,
) -> None:
    before = counted("messaging_held")

    async def failing(*_: object, **__: object) -> None:
        raise error

    subscriber = await subscribe()
    with monkeypatch.context() as broken:
        broken.setattr(DeadLetterPublisher, "send", failing)
        await send(channel, b"no event", *placed(5))
        assert sorted(await until_reserved(engine, 5)) == list(range(5))

        async def told() -> bool:
            return "dead letters wait" in (subscriber.note() or "")

        await eventually(told)
        assert await subscriber.ready()
        assert counted("messaging_held") == before + 1
        assert await dead(channel) is None

    async def published() -> bool:
        return await dead(channel) is not None

    await eventually(published)
    await subscriber.stop()
    assert await waiting(channel) == 0
    assert counted("messaging_held") == before


@pytest.mark.parametrize("error", ERRORS, ids=["own", "cancelled"])
async def test_a_subscription_is_tried_again_whatever_kept_it_from_consuming(
    subscribe: Subscribe, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    genuine, tries = RabbitSubscriber.start, 0

    async def failing_at_first(self: RabbitSubscriber) -> None:
        nonlocal tries
        tries += 1
        if tries == 1:
            raise error
        await genuine(self)

    monkeypatch.setattr(RabbitSubscriber, "start", failing_at_first)
    await subscribe()  # this returns when it is ready
    assert tries == 2


async def test_stopping_does_not_wait_for_a_subscription_that_never_starts(
    subscribe: Subscribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = asyncio.Event()

    async def hanging(self: RabbitSubscriber) -> None:
        inside.set()
        await asyncio.Event().wait()

    subscriber = await subscribe()
    monkeypatch.setattr(RabbitSubscriber, "start", hanging)
    await subscriber._subscriptions[0].subscriber.stop()
    async with asyncio.timeout(10):
        await inside.wait()
        await subscriber.stop()
