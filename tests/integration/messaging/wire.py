"""Publishes to the broker and reads from it in plain AMQP."""

from typing import Any

import aio_pika
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage

from tests.integration.messaging.sample import QUEUE


async def send(
    channel: AbstractChannel,
    *bodies: bytes,
    exchange: str = "shop",
    routing_key: str = "order.placed.v1",
    **properties: Any,
) -> None:
    """Publish as the shop's relay does: to its exchange, mandatory, confirmed."""
    target = await channel.get_exchange(exchange)
    for body in bodies:
        message = aio_pika.Message(
            body, content_type="application/cloudevents+json", delivery_mode=2, **properties
        )
        await target.publish(message, routing_key)


async def waiting(channel: AbstractChannel, queue: str = QUEUE) -> int:
    """Return the number of messages ready in a queue."""
    declared = await channel.declare_queue(queue, passive=True)
    return declared.declaration_result.message_count or 0


async def dead(channel: AbstractChannel) -> AbstractIncomingMessage | None:
    """Take one message from the dead letters. Returns None where there is none."""
    queue = await channel.get_queue("credit.dead-letters")
    return await queue.get(no_ack=True, fail=False)
