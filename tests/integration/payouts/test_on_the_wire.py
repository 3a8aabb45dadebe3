"""Over a real broker, payouts consumes a closed order, has the bank pay it and
publishes that for orders.
"""

import json
from typing import Any

import aio_pika

from libs.kernel.ids import uuid7
from libs.messaging.saga.choreography import read
from libs.messaging.topology import apply, topology_of
from libs.runtime.settings import CHOREOGRAPHY
from services.payouts.infrastructure.settings import PayoutsSettings
from services.payouts.main import build
from tests.fixtures.messages import envelope, message_of
from tests.fixtures.polling import eventually
from tests.fixtures.services import running


def closed(order_id: str, seller_id: str | None) -> aio_pika.Message:
    data = {"order_id": order_id, "seller_id": seller_id, "total_cents": 4_500_000}
    return message_of(envelope("order.closed.v1", order_id, data, source="orders", sequence=3))


async def test_closed_order_is_paid_and_the_payout_is_published(database: str, vhost: str) -> None:
    await apply(vhost, topology_of(read(CHOREOGRAPHY).participants))
    order_id, seller_id = str(uuid7()), str(uuid7())
    async with (
        await aio_pika.connect(vhost) as connection,
        running(build, PayoutsSettings, database, role="all", rabbitmq_url=vhost) as client,
    ):
        channel = await connection.channel()
        orders = await channel.get_exchange("orders")
        message = closed(order_id, seller_id)
        await orders.publish(closed(str(uuid7()), None), "order.closed.v1")
        for _ in range(2):  # the second is a duplicate
            await orders.publish(message, "order.closed.v1")
        consumed = await channel.get_queue("orders.on.payout.completed.v1", ensure=False)

        async def completed() -> Any:
            return await consumed.get(no_ack=True, fail=False)

        told = json.loads((await eventually(completed)).body)
        assert (told["type"], told["source"]) == ("payout.completed.v1", "payouts")
        assert (told["subject"], told["correlationid"]) == (order_id, order_id)
        assert told["data"]["seller_id"] == seller_id
        answer = await client.get("/payouts")
        assert [item["external_id"] for item in answer.json()["items"]] == [f"order:{order_id}"]
