"""A batch with late confirms delays the others only for a moment. The broker here
answers when a test says so.
"""

import asyncio
from types import SimpleNamespace
from typing import cast
from uuid import uuid4

import aiormq
import pytest
from aiormq.abc import ChannelFrame
from aiormq.channel import Channel
from pamqp.commands import Basic

from libs.messaging.relay.broker import Broker, BrokerUnavailable
from libs.messaging.relay.claims import Message, SubjectRows
from libs.messaging.relay.frames import Frames
from libs.messaging.relay.in_flight import STRAGGLER_SECONDS
from libs.messaging.relay.publisher import Publisher


class LateBroker:
    """A `LateBroker` confirms when it closes, except for the message sent first."""

    number = 1
    max_content_size = 1000
    is_closed = False

    def __init__(self) -> None:
        self.lock = asyncio.Lock()
        self.write_queue: asyncio.Queue[ChannelFrame] = asyncio.Queue()
        self.closing = asyncio.get_running_loop().create_future()
        self.delivery_tag = 0
        self.confirmations: dict[int, asyncio.Future[object]] = {}
        self.message_id_delivery_tag: dict[str, int] = {}

    async def confirm(self, *tags: int) -> None:
        for tag in tags:
            confirmation = self.confirmations.pop(tag)
            if not confirmation.done():  # as aiormq does
                confirmation.set_result(Basic.Ack(tag))
        await asyncio.sleep(0)

    async def confirm_the_first(self) -> None:
        await self.write_queue.get()
        await asyncio.sleep(0)
        await self.confirm(1)

    async def close(self) -> None:
        await self.confirm(*self.confirmations)


class Answering(Broker):
    """`Answering` is a broker whose connection is open and takes messages."""

    async def check_takes_messages(self) -> None: ...

    async def close(self) -> None:
        raise AssertionError("the connection answers")


def publisher_on(channel: LateBroker, *, timeout: float) -> Publisher:
    broker = Answering("shop", "amqp://shop@nowhere")
    publisher = Publisher(broker, Frames("shop", "shop", ()), timeout=timeout)
    publisher._channel = cast("Channel", channel)
    return publisher


def rows(event_type: str) -> SubjectRows:
    return SubjectRows("order", 0, [Message(1, uuid4(), event_type, b"{}", None, False)], False)


def none_held(_: Message) -> None: ...


async def test_a_message_given_up_as_late_is_not_counted_when_its_confirm_comes_meanwhile() -> None:
    channel = LateBroker()
    publisher = publisher_on(channel, timeout=0.05)

    published = await publisher.publish([rows("sold.v1"), rows("paid.v1")], none_held)

    assert [each.confirmed for each in published.outcomes] == [0, 0]
    assert {each.error for each in published.outcomes} == {"no confirm within 0.05 s"}
    assert published.silent_types == {"sold.v1", "paid.v1"}
    assert publisher._channel is None, "nothing was confirmed there: it may be broken"


async def test_one_silent_message_holds_up_the_others_for_a_moment_not_for_the_timeout() -> None:
    channel = LateBroker()
    publisher = publisher_on(channel, timeout=30)
    answering = asyncio.create_task(channel.confirm_the_first())

    async with asyncio.timeout(5):
        published = await publisher.publish([rows("sold.v1"), rows("paid.v1")], none_held)
    await answering

    prompt, late = published.outcomes
    assert (prompt.confirmed, prompt.error, prompt.silent) == (1, None, False)
    assert (late.confirmed, late.error) == (0, "no confirm, although others had theirs")
    assert published.silent_types == {"paid.v1"}
    assert publisher._channel is not None, "the channel works: others go on with it"


async def test_late_confirms_of_a_type_that_has_others_confirmed_are_waited_for() -> None:
    """The queue of the late confirms is slow, for example on a busy disk, and not silent."""
    channel = LateBroker()
    publisher = publisher_on(channel, timeout=5)

    async def pause_between_confirms() -> None:
        await channel.confirm_the_first()
        await asyncio.sleep(3 * STRAGGLER_SECONDS)
        await channel.confirm(2)

    confirming = asyncio.create_task(pause_between_confirms())
    published = await publisher.publish([rows("sold.v1"), rows("sold.v1")], none_held)
    await confirming

    assert [each.confirmed for each in published.outcomes] == [1, 1]
    assert published.silent_types == set()


async def test_a_broker_that_takes_long_for_all_is_waited_for() -> None:
    channel = LateBroker()
    publisher = publisher_on(channel, timeout=30)

    async def slowly() -> None:
        await channel.write_queue.get()
        await asyncio.sleep(0.6)
        await channel.confirm(1)
        await asyncio.sleep(0.4)  # longer than a late message gets when the others were quick
        await channel.confirm(2)

    answering = asyncio.create_task(slowly())
    published = await publisher.publish([rows("sold.v1"), rows("paid.v1")], none_held)
    await answering

    assert [each.confirmed for each in published.outcomes] == [1, 1]


async def test_a_connection_that_closes_before_its_channel_is_open_is_a_broker_that_is_away() -> (
    None
):
    async def closed(**_: object) -> None:
        raise RuntimeError("<Connection> closed")  # aiormq raises this type with these words

    async def well() -> None: ...

    broker = Broker("shop", "amqp://shop@nowhere")
    connection = SimpleNamespace(is_opened=True, channel=closed, ready=well, close=well)
    broker._connection = cast("aiormq.Connection", connection)
    with pytest.raises(BrokerUnavailable, match="closed"):
        await Publisher(broker, Frames("shop", "shop", ())).open()
