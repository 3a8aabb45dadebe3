"""Measures the upper limit: how fast the protocol library alone publishes the same
events with confirms.
"""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from uuid import uuid4

import aiormq
import aiormq.abc

IN_FLIGHT = 500
EXCHANGE = "bench"
EVENT_TYPE = "bench.happened.v1"
BODY = b'{"specversion":"1.0","data":"' + b"x" * 369 + b'"}'
"""An event of a purchase has about 400 bytes."""


@asynccontextmanager
async def channel(rabbitmq_url: str) -> AsyncIterator[aiormq.abc.AbstractChannel]:
    connection = await aiormq.connect(rabbitmq_url)
    try:
        yield await connection.channel(publisher_confirms=True)
    finally:
        await connection.close()


async def declare(rabbitmq_url: str, queue: str) -> None:
    """Declare one topic exchange and one quorum queue, the same for everyone who is compared."""
    async with channel(rabbitmq_url) as broker:
        await broker.exchange_declare(exchange=EXCHANGE, exchange_type="topic", durable=True)
        await broker.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
        await broker.queue_bind(queue, EXCHANGE, routing_key=EVENT_TYPE)


async def delete(rabbitmq_url: str, queue: str) -> None:
    async with channel(rabbitmq_url) as broker:
        await broker.queue_delete(queue)


async def publish_rate(rabbitmq_url: str, count: int) -> float:
    """Return events per second: persistent, mandatory, confirmed, `IN_FLIGHT` at a time."""
    async with channel(rabbitmq_url) as broker:

        async def publish() -> None:
            properties = aiormq.spec.Basic.Properties(
                delivery_mode=2, message_id=uuid4().hex, message_type=EVENT_TYPE
            )
            await broker.basic_publish(
                BODY,
                exchange=EXCHANGE,
                routing_key=EVENT_TYPE,
                properties=properties,
                mandatory=True,
            )

        started = time.perf_counter()
        for _ in range(count // IN_FLIGHT):
            await asyncio.gather(*(publish() for _ in range(IN_FLIGHT)))
        return count / (time.perf_counter() - started)
