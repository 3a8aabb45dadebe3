"""Measures faststream-outbox as a relay to the same queue, with the best settings found."""

import asyncio
import time
from typing import Any

from faststream.message import StreamMessage
from faststream.rabbit import RabbitBroker, RabbitExchange
from faststream_outbox import OutboxBroker, make_outbox_table
from sqlalchemy import MetaData, func, select
from sqlalchemy.ext.asyncio import create_async_engine

from tests.bench.raw import BODY, EVENT_TYPE, EXCHANGE

WORKERS = 40
BATCH = 500


async def relay_rate(database_url: str, rabbitmq_url: str, count: int) -> float:
    """Return the events per second from the first claim until the table is empty."""
    engine = create_async_engine(database_url, pool_size=WORKERS + 5)
    metadata = MetaData()
    table = make_outbox_table(metadata, table_name="peer_outbox")
    outbox = OutboxBroker(engine, outbox_table=table, apply_types=False, logger=None)
    rabbit = RabbitBroker(rabbitmq_url, logger=None)
    publisher = rabbit.publisher(
        exchange=RabbitExchange(EXCHANGE, declare=False), routing_key=EVENT_TYPE, persist=True
    )

    @publisher
    @outbox.subscriber(
        "peer",
        max_workers=WORKERS,
        fetch_batch_size=BATCH,
        min_fetch_interval=0.001,
        max_fetch_interval=0.05,
        terminal_flush_batch_size=BATCH,
        decoder=_as_it_is,
    )
    async def relay(body: bytes) -> bytes:
        return body

    async with engine.begin() as connection:
        await connection.run_sync(metadata.create_all)
    async with engine.begin() as connection:
        await outbox.publish_batch(*[BODY] * count, queue="peer", session=connection)
    await rabbit.start()
    started = time.perf_counter()
    await outbox.start()
    try:
        async with engine.connect() as connection:
            while await connection.scalar(select(func.count()).select_from(table)):
                await connection.rollback()
                await asyncio.sleep(0.02)
        return count / (time.perf_counter() - started)
    finally:
        await outbox.stop()
        await rabbit.stop()
        async with engine.begin() as connection:
            await connection.run_sync(metadata.drop_all)
        await engine.dispose()


async def _as_it_is(message: StreamMessage[Any]) -> bytes:
    """Pass the body on unread, because parsing it would only cost time."""
    body: bytes = message.body
    return body
