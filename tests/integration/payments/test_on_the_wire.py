"""Over a real broker, payments consumes a purchase's event, makes a code, takes the
payment and publishes it.
"""

import json
from typing import Any

import aio_pika

from libs.kernel.ids import uuid7
from libs.messaging.saga.choreography import read
from libs.messaging.topology import apply, topology_of
from libs.runtime.settings import CHOREOGRAPHY
from services.payments.infrastructure.settings import PaymentsSettings
from services.payments.main import build
from tests.fixtures.messages import envelope, message_of
from tests.fixtures.polling import eventually
from tests.fixtures.services import running


def reserved(order_id: str) -> aio_pika.Message:
    data = {"order_id": order_id, "customer_id": str(uuid7()), "price_cents": 4_500_000}
    return message_of(envelope("vehicle.reserved.v1", order_id, data, source="vehicles"))


async def test_reserved_vehicle_gets_a_code_is_paid_and_the_payment_is_published(
    database: str, vhost: str
) -> None:
    await apply(vhost, topology_of(read(CHOREOGRAPHY).participants))
    order_id = str(uuid7())
    async with (
        await aio_pika.connect(vhost) as connection,
        running(build, PaymentsSettings, database, role="all", rabbitmq_url=vhost) as client,
    ):
        channel = await connection.channel()
        vehicles = await channel.get_exchange("vehicles")
        await vehicles.publish(reserved(order_id), "vehicle.reserved.v1")

        async def code() -> Any:
            answer = await client.post("/payment-codes", json={"order_id": order_id})
            return answer.status_code == 200 and answer.json()["code"]

        answer = await client.post(
            "/payments",
            json={"code": await eventually(code), "method": "tok_approve"},
            headers={"Idempotency-Key": "first"},
        )
        assert answer.status_code == 202, answer.text
        consumed = await channel.get_queue("vehicles.on.payment.processed.v1", ensure=False)

        async def processed() -> Any:
            return await consumed.get(no_ack=True, fail=False)

        message = await eventually(processed)
        event = json.loads(message.body)
        assert event["type"] == "payment.processed.v1"
        assert event["data"]["payment_id"] == answer.json()["payment_id"]
        assert (event["subject"], int(event["sequence"])) == (order_id, 2)
