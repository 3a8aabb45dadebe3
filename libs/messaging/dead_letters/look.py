"""A look reads all dead letters of a service once.

The queue of dead letters has no practical delivery limit, so a message that is read and returned
stays, on every RabbitMQ from 3.10 on. The reader holds a lock on the broker, so only one reads at a
time and each sees every dead letter. A message that the reader does not acknowledge returns to the
queue when the connection closes, also when the process is killed.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aio_pika.abc import AbstractChannel, AbstractConnection, AbstractIncomingMessage
from aio_pika.exceptions import AMQPError, ChannelNotFoundEntity
from aiormq.exceptions import ChannelLockedResource

from libs.messaging.dead_letters.replay import connected
from libs.messaging.names import dead_queue, look_lock

MOST = 10_000
"""One look takes at most this many messages; it needs about a second for them."""

TURN_SECONDS = 10.0
"""A look waits this long for others to end theirs."""

QUIET_SECONDS = 5.0
"""The broker may take this long from one message to the next."""


class DeadLetterError(Exception):
    """The action is refused. One line says why."""


@asynccontextmanager
async def look(
    rabbitmq_url: str, service: str
) -> AsyncIterator[tuple[AbstractChannel, list[AbstractIncomingMessage]]]:
    """Yield all dead letters of a service (at most MOST), the oldest first, and the channel they
    came over. Raises DeadLetterError where they cannot be read.
    """
    try:
        async with connected(rabbitmq_url, "dead letters") as connection:
            await _take_turn(connection, service)
            channel = await connection.channel(on_return_raises=True)
            yield channel, await _taken(channel, dead_queue(service))
    except ChannelNotFoundEntity:
        raise DeadLetterError(
            f"queue {dead_queue(service)} is missing; run topology apply"
        ) from None
    except (AMQPError, OSError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        raise DeadLetterError(f"RabbitMQ: {reason}") from None


async def _take_turn(connection: AbstractConnection, service: str) -> None:
    """Take the lock, an exclusive queue: the broker gives it to one connection, and deletes it when
    that connection ends. Quorum queues do not enforce exclusive consumers.
    """
    until = time.monotonic() + TURN_SECONDS
    while True:
        channel = await connection.channel()
        try:
            await channel.declare_queue(look_lock(service), exclusive=True)
            return
        except ChannelLockedResource:
            if time.monotonic() >= until:
                raise DeadLetterError(
                    f"somebody else is at the dead letters of {service}: try again"
                ) from None
        await asyncio.sleep(0.05)


async def _taken(channel: AbstractChannel, name: str) -> list[AbstractIncomingMessage]:
    """Take the messages that are there now. A consumer is ten times as fast as `basic.get`."""
    queue = await channel.declare_queue(name, passive=True)
    count = min(queue.declaration_result.message_count or 0, MOST)
    messages: list[AbstractIncomingMessage] = []
    if count == 0:
        return messages
    arrived = asyncio.Event()

    async def take(message: AbstractIncomingMessage) -> None:
        messages.append(message)
        arrived.set()

    await channel.set_qos(prefetch_count=count)
    tag = await queue.consume(take)
    try:
        while len(messages) < count:
            async with asyncio.timeout(QUIET_SECONDS):
                await arrived.wait()
            arrived.clear()
    except TimeoutError:
        pass  # a client without this lock has taken the others meanwhile
    await queue.cancel(tag)
    return messages
