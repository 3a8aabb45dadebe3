"""With clocks that differ, good messages are handled or wait, and readiness reports it. The
database's clock decides.
"""

import json
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import datetime, timedelta
from uuid import UUID

import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from libs.messaging.inbox import consumer
from libs.messaging.inbox.subscriber import Subscriber
from libs.messaging.schema.inbox_window import INBOX_WINDOW, InboxWindow
from tests.fixtures.polling import eventually
from tests.integration.messaging import sample
from tests.integration.messaging.effects import Subscribe, until_reserved
from tests.integration.messaging.wire import dead, send, waiting

AHEAD = InboxWindow().ahead
SubscribeAt = Callable[[timedelta], Awaitable[Subscriber[sample.CreditUnitOfWork]]]


def made(age: timedelta, total: int = 1) -> bytes:
    """Return an event whose id is this old. A negative age is that of a clock that is ahead."""
    moment = int((utc_now() - age).timestamp() * 1000)
    event_id = UUID(int=moment << 80 | uuid7().int & (1 << 80) - 1)
    return sample.on_the_wire(sample.order_placed(total_cents=total), event_id)


@pytest.fixture
async def subscribe_at(engine: AsyncEngine, broker: str) -> AsyncIterator[SubscribeAt]:
    """Yield a function that starts a subscriber on a machine whose clock is off by `off`."""
    started: list[Subscriber[sample.CreditUnitOfWork]] = []

    async def start(off: timedelta) -> Subscriber[sample.CreditUnitOfWork]:
        def clock() -> datetime:
            return utc_now() + off

        subscriber = Subscriber(
            sample.credit(),
            sample.transactions(engine),
            sample.TABLES,
            broker,
            window=INBOX_WINDOW,
            clock=clock,
        )
        started.append(subscriber)
        await subscriber.start()
        await eventually(subscriber.ready)
        return subscriber

    yield start
    for subscriber in started:
        await subscriber.stop()


@pytest.mark.parametrize(
    ("off", "told"),
    [
        (timedelta(hours=-2), "this machine's clock is 7200 s behind the database's"),
        (timedelta(days=15), "this machine's clock is 1296000 s ahead of the database's"),
    ],
    ids=["behind", "ahead"],
)
async def test_a_machine_with_a_wrong_clock_handles_good_messages_and_says_so(
    engine: AsyncEngine,
    channel: AbstractChannel,
    subscribe_at: SubscribeAt,
    off: timedelta,
    told: str,
) -> None:
    subscriber = await subscribe_at(off)
    await send(channel, made(timedelta(0)), made(timedelta(days=13), total=2))
    assert sorted(await until_reserved(engine, 2)) == [1, 2]
    assert subscriber.note() == told
    assert await subscriber.ready()
    assert await dead(channel) is None


async def test_an_id_that_is_too_old_is_a_dead_letter_though_this_clock_is_behind(
    channel: AbstractChannel, subscribe_at: SubscribeAt
) -> None:
    await subscribe_at(timedelta(days=-2))
    body = made(timedelta(days=15))
    await send(channel, body)

    async def found() -> AbstractIncomingMessage | None:
        return await dead(channel)

    message = await eventually(found)
    assert message is not None
    assert message.body == body
    assert "outside the inbox's window" in str(message.headers["x-error"])


async def test_an_id_made_ahead_waits_for_its_time_and_the_others_go_on(
    engine: AsyncEngine, channel: AbstractChannel, subscribe: Subscribe
) -> None:
    subscriber = await subscribe()
    soon, hours = made(-AHEAD - timedelta(seconds=3), total=2), made(-timedelta(hours=2), total=3)
    await send(channel, hours, soon, made(timedelta(0)))
    assert await until_reserved(engine, 1) == [1]

    async def told() -> bool:
        ahead = "retried later: shop's clock is ahead of the database's"
        return f"{sample.QUEUE}: 2 {ahead}" == subscriber.note()

    await eventually(told)
    assert await subscriber.ready()
    assert await until_reserved(engine, 2) == [1, 2]
    assert await dead(channel) is None
    await subscriber.stop()

    async def given_back() -> bool:
        return await waiting(channel) == 1

    await eventually(given_back)
    queue = await channel.get_queue(sample.QUEUE)
    left = await queue.get(no_ack=True)
    assert json.loads(left.body) == json.loads(hours)


async def test_an_id_made_ahead_is_logged_once_after_its_connection_was_lost(
    channel: AbstractChannel, subscribe: Subscribe, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(consumer, "AHEAD_CHECK_SECONDS", 0.1)
    subscriber = await subscribe()
    await send(channel, made(-timedelta(hours=2)))
    one = f"{sample.QUEUE}: 1 retried later: shop's clock is ahead of the database's"

    async def told_of_one() -> bool:
        return subscriber.note() == one

    await eventually(told_of_one)
    robust = await subscriber._broker.connect()
    assert robust.transport is not None
    await robust.transport.connection.close(ConnectionError("lost"))

    async def subscribed_again() -> bool:
        return await waiting(channel) == 0 and await subscriber.ready()

    await eventually(subscribed_again, 20)
    await eventually(told_of_one)
