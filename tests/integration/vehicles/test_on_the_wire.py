"""Over a real broker, vehicles consumes its peers' samples and publishes its own events."""

import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import aio_pika
from aio_pika.abc import AbstractChannel

from libs.kernel.ids import uuid7
from libs.messaging.saga.choreography import read
from libs.messaging.topology import apply, topology_of
from libs.runtime.settings import CHOREOGRAPHY
from services.vehicles.infrastructure.settings import VehiclesSettings
from services.vehicles.main import build
from tests.contracts.samples import read_sample
from tests.fixtures.polling import eventually
from tests.fixtures.services import running
from tests.integration.vehicles.conftest import body


async def tell(
    channel: AbstractChannel, event_type: str, order_id: UUID, *, copies: int = 1, **data: Any
) -> None:
    """Publish the peer's sample for this purchase. `data` replaces fields of the sample."""
    event = read_sample(event_type)
    message_id = str(uuid7())
    event |= {"id": message_id, "time": datetime.now(UTC).isoformat(), "subject": str(order_id)}
    event["data"] |= {"order_id": str(order_id), **data}
    exchange = await channel.get_exchange(event["source"])
    message = aio_pika.Message(
        json.dumps(event).encode(),
        message_id=message_id,
        content_type="application/cloudevents+json",
        delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
    )
    for _ in range(copies):
        await exchange.publish(message, event_type)


async def consumed(channel: AbstractChannel, queue: str) -> dict[str, Any]:
    """Return the next message that a peer would consume."""
    source = await channel.get_queue(queue)

    async def taken() -> Any:
        return await source.get(no_ack=True, fail=False)

    event: dict[str, Any] = json.loads((await eventually(taken)).body)
    return event


async def test_purchases_cross_the_broker_sold_refused_and_released(
    database: str, vhost: str, keys: dict[str, Any]
) -> None:
    await apply(vhost, topology_of(read(CHOREOGRAPHY).participants))
    async with (
        await aio_pika.connect(vhost) as connection,
        running(
            build, VehiclesSettings, database, role="all", rabbitmq_url=vhost, **keys
        ) as client,
    ):
        channel = await connection.channel()
        listed = (await client.post("/vehicles", json=body())).json()
        wanted = {"vehicle_id": listed["id"], "total_cents": listed["price_cents"]}
        first, second, early = uuid7(), uuid7(), uuid7()

        await tell(channel, "credit.reserved.v1", first, copies=3, **wanted)
        reserved = await consumed(channel, "payments.on.vehicle.reserved.v1")
        assert (reserved["subject"], reserved["data"]["seller_id"]) == (
            str(first),
            listed["seller_id"],
        )

        await tell(channel, "credit.reserved.v1", second, **wanted)
        refused = await consumed(channel, "customers.on.vehicle.reservation_failed.v1")
        assert (refused["subject"], refused["data"]["reason"]) == (
            str(second),
            "vehicle_not_for_sale",
        )

        await tell(channel, "payment.voided.v1", early)
        released = await consumed(channel, "customers.on.vehicle.released.v1")
        assert (released["subject"], released["data"]["vehicle_id"]) == (str(early), None)

        await tell(channel, "payment.processed.v1", first, copies=2)
        sold = await consumed(channel, "orders.on.vehicle.sold.v1")
        assert (sold["subject"], int(sold["sequence"])) == (str(first), 2)
        assert (await client.get(f"/vehicles/{listed['id']}")).json()["is_sold"]
        assert (
            await channel.declare_queue("vehicles.dead-letters", passive=True)
        ).declaration_result.message_count == 0
