"""This module sends messages to one queue only, through its service's redrive exchange."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from functools import partial

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractConnection, DeliveryMode

from libs.messaging.broker_url import connect_to_any
from libs.messaging.database import Connection
from libs.messaging.envelope import CONTENT_TYPE
from libs.messaging.names import redrive_exchange
from libs.messaging.relay.archive import Archived, archived

PUBLISH_SECONDS = 5.0


@asynccontextmanager
async def connected(rabbitmq_url: str, name: str) -> AsyncIterator[AbstractConnection]:
    connection = await connect_to_any(
        rabbitmq_url,
        partial(aio_pika.connect, timeout=10, client_properties={"connection_name": name}),
    )
    async with connection:
        yield connection


async def send_to_queue(channel: AbstractChannel, message: aio_pika.Message, queue: str) -> None:
    """Send the message, and wait until the broker has taken it into exactly this queue. `channel`
    must be one that raises on returned messages.
    """
    service = queue.partition(".")[0]
    exchange = await channel.get_exchange(redrive_exchange(service), ensure=False)
    await exchange.publish(message, queue, mandatory=True, timeout=PUBLISH_SECONDS)


async def replay(
    rabbitmq_url: str,
    database: Connection,
    queue: str,
    since: datetime,
) -> int:
    """Send a queue's events again from the archive in the publishing service's database.

    Returns how many. The inbox knows what the queue's service had handled: that has no effect.
    """
    event_type = queue.partition(".on.")[2]
    count = 0
    async with connected(rabbitmq_url, "replay") as connection:
        channel = await connection.channel(on_return_raises=True)
        async for event in archived(database, [event_type], since):
            await send_to_queue(channel, message_of(event), queue)
            count += 1
    return count


def message_of(event: Archived) -> aio_pika.Message:
    """Return the message as the relay sent it, with another user's name."""
    return aio_pika.Message(
        event.body,
        content_type=CONTENT_TYPE,
        delivery_mode=DeliveryMode.PERSISTENT,
        message_id=str(event.id),
        type=event.type,
        headers={"traceparent": event.traceparent} if event.traceparent else None,
    )
