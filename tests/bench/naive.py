"""Runs the same reaction in its usual form: one ORM transaction for each message."""

import hashlib
from collections.abc import Awaitable, Callable

from faststream import AckPolicy
from faststream.rabbit import Channel, RabbitBroker, RabbitMessage, RabbitQueue
from faststream.rabbit.schemas import QueueType
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped

from libs.kernel.clock import utc_now
from libs.kernel.ids import time_of, uuid7
from libs.messaging.envelope import Received, encode
from tests.bench import sample

CONCURRENCY = 10


class Base(DeclarativeBase):
    metadata = sample.METADATA


class Reservation(Base):
    __table__ = sample.RESERVATIONS


class Customer(Base):
    __table__ = sample.CUSTOMERS
    reserved_cents: Mapped[int]


class InboxRow(Base):
    __table__ = sample.TABLES.inbox


class OutboxRow(Base):
    __table__ = sample.TABLES.outbox


async def start(
    database_url: str, rabbitmq_url: str, handled: Callable[[], None]
) -> Callable[[], Awaitable[None]]:
    """Consume, calling `handled` after each commit. Returns what stops it."""
    engine = create_async_engine(database_url, pool_size=CONCURRENCY)
    sessions = async_sessionmaker(engine, expire_on_commit=False)
    broker = RabbitBroker(rabbitmq_url, logger=None)

    @broker.subscriber(
        RabbitQueue(sample.QUEUE, queue_type=QueueType.QUORUM, declare=False),
        channel=Channel(prefetch_count=CONCURRENCY),
        ack_policy=AckPolicy.ACK,
    )
    async def reserve_credit(event: Received[sample.Placed], message: RabbitMessage) -> None:
        async with sessions.begin() as session:
            seen = InboxRow(
                message_id=event.id,
                consumer=sample.QUEUE,
                made_at=time_of(event.id),
                payload_hash=hashlib.sha256(message.body).digest(),
            )
            session.add(seen)
            order = event.data
            session.add(Reservation(**order.model_dump()))
            customer = await session.get_one(Customer, order.customer_id, with_for_update=True)
            customer.reserved_cents += order.total_cents
            reserved = sample.reserved(event)
            session.add(
                OutboxRow(
                    id=uuid7(),
                    source="credit",
                    subject=str(reserved.subject),
                    type=reserved.type,
                    body=encode(
                        reserved,
                        event_id=uuid7(),
                        source="credit",
                        time=utc_now(),
                        cause=str(event.id),
                        traceparent=None,
                    ),
                )
            )
        handled()

    await broker.start()

    async def stop() -> None:
        await broker.stop()
        await engine.dispose()

    return stop
