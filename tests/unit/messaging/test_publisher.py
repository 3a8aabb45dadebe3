"""A batch whose confirms are late, against a broker that answers when it is told to."""

import asyncio
from types import SimpleNamespace
from typing import cast
from uuid import uuid4

import aiormq
import pytest
from aiormq.abc import ChannelFrame
from aiormq.channel import Channel
from pamqp.commands import Basic

from libs.messaging.relay.claims import Message, Run
from libs.messaging.relay.publisher import BrokerUnavailable, Publisher


class LateBroker:
    """A channel whose confirms come at its close, but for the message sent first."""

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


def run_of(subject: str) -> Run:
    run = Run(subject, 0)
    run.messages.append(Message(1, uuid4(), "sold.v1", b"{}", None, expired=False))
    return run


async def test_a_message_given_up_as_late_is_not_counted_when_its_confirm_comes_meanwhile() -> None:
    publisher, broker = Publisher("shop", "amqp://shop@nowhere", timeout=0.05), LateBroker()
    publisher._channel = cast("Channel", broker)
    prompt, late = run_of("prompt"), run_of("late")

    answering = asyncio.create_task(broker.confirm_the_first())
    await publisher.publish([prompt, late])
    await answering

    assert (prompt.confirmed, prompt.error) == (1, None)
    assert (late.confirmed, late.error) == (0, "no confirm within 0.05 s")
    assert publisher._channel is None  # what is in flight there may still arrive


async def test_a_connection_that_closes_before_its_channel_is_open_is_a_broker_that_is_away() -> (
    None
):
    async def closed(**_: object) -> None:
        raise RuntimeError("<Connection> closed")  # aiormq's own words and type

    async def well() -> None: ...

    publisher = Publisher("shop", "amqp://shop@nowhere")
    connection = SimpleNamespace(is_opened=True, channel=closed, ready=well, close=well)
    publisher._connection = cast("aiormq.Connection", connection)
    with pytest.raises(BrokerUnavailable, match="closed"):
        await publisher.open()
