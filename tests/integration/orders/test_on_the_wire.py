"""Over a real broker, peers get the events that orders publishes, and orders consumes theirs."""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from sqlalchemy import text

from libs.kernel.ids import uuid7
from libs.messaging.saga.choreography import read
from libs.runtime.settings import CHOREOGRAPHY
from services.orders.infrastructure.settings import OrdersSettings
from services.orders.main import build
from tests.contracts.samples import read_sample
from tests.fixtures.polling import eventually
from tests.fixtures.services import ServiceClient, running
from tests.integration.orders.market import TENANT, WAY_FORWARD, buy, look

ALL = read(CHOREOGRAPHY).participants


@pytest.fixture
async def orders(database: str, market_broker: str) -> AsyncIterator[ServiceClient]:
    async with running(
        build, OrdersSettings, database, role="all", rabbitmq_url=market_broker
    ) as client:
        yield client


@pytest.fixture
async def channel(market_broker: str) -> AsyncIterator[AbstractChannel]:
    connection = await aio_pika.connect(market_broker)
    async with connection:
        yield await connection.channel()


async def publish_as_peer(
    channel: AbstractChannel, event_type: str, order_id: UUID, event_id: UUID | None = None
) -> None:
    """Publish a peer's own sample of an event, made to be about this purchase."""
    sample = read_sample(event_type)
    sample |= {
        "id": str(event_id or uuid7()),
        "subject": str(order_id),
        "correlationid": str(order_id),
        "tenantid": TENANT,
    }
    sample["data"] |= {"order_id": str(order_id), "tenant_id": TENANT}
    message = aio_pika.Message(
        json.dumps(sample).encode(),
        content_type="application/cloudevents+json",
        message_id=sample["id"],
        type=event_type,
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
    )
    exchange = await channel.get_exchange(sample["source"], ensure=False)
    await exchange.publish(message, routing_key=event_type)


async def test_a_purchase_is_published_to_customers_and_completed_by_the_peers_own_samples(
    orders: ServiceClient, channel: AbstractChannel
) -> None:
    order_id = await buy(orders)
    queue = await channel.get_queue("customers.on.order.confirmed.v1")

    async def confirmed() -> dict[str, Any] | None:
        message = await queue.get(fail=False, no_ack=True)
        return None if message is None else json.loads(message.body)

    event = await eventually(confirmed)
    assert event is not None
    assert (event["subject"], event["source"], int(event["sequence"])) == (
        str(order_id),
        "orders",
        1,
    )
    for event_type in reversed(WAY_FORWARD):
        again = uuid7()
        await publish_as_peer(channel, event_type, order_id, again)
        await publish_as_peer(channel, event_type, order_id, again)

    async def completed() -> bool:
        state = await look(orders, order_id)
        return state["state"] == "COMPLETED" and len(state["history"]) == 7

    await eventually(completed, timeout=20)


async def test_peers_events_in_opposite_orders_never_deadlock(
    orders: ServiceClient, channel: AbstractChannel
) -> None:
    """Several purchases share a transaction, in one order whatever the order of arrival."""
    bought = [await buy(orders) for _ in range(60)]
    for one, other in zip(bought, reversed(bought), strict=True):
        await publish_as_peer(channel, "credit.reserved.v1", one)
        await publish_as_peer(channel, "vehicle.reserved.v1", other)

    async def all_consumed() -> bool:
        consumed = "SELECT id FROM orders WHERE jsonb_array_length(history) = 3"
        return len(await orders.rows(consumed)) == len(bought)

    await eventually(all_consumed, timeout=20)

    async def deadlocks() -> int:
        async with orders.service.transactions.engine.connect() as connection:
            await connection.execute(text("SELECT pg_stat_clear_snapshot()"))
            found = await connection.execute(
                text("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
            )
            return int(found.scalar_one())

    assert await deadlocks() == 0


async def test_an_event_of_an_unknown_purchase_ends_among_the_dead_letters(
    orders: ServiceClient, channel: AbstractChannel
) -> None:
    order_id = await buy(orders)
    await publish_as_peer(channel, "credit.reserved.v1", uuid4())
    await publish_as_peer(channel, "credit.reserved.v1", order_id)
    dead = await channel.get_queue("orders.dead-letters")

    async def dead_letter() -> bool:
        return await dead.get(fail=False, no_ack=True) is not None

    async def advanced() -> bool:
        return bool((await look(orders, order_id))["state"] == "CREDIT_RESERVED")

    await eventually(advanced, timeout=20)
    await eventually(dead_letter, timeout=30)
