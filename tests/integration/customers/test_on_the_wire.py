"""The service consumes a peer's event from RabbitMQ and publishes its own event there."""

import json

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from tests.fixtures.polling import eventually
from tests.integration.customers.conftest import Serve
from tests.integration.customers.purchases import confirmed, credit, register


async def test_a_confirmed_order_from_the_broker_is_answered_there_once(
    serve: Serve, market_broker: str
) -> None:
    async with (
        await aio_pika.connect(market_broker) as connection,
        await connection.channel() as channel,
    ):
        answers = await channel.get_queue("vehicles.on.credit.reserved.v1")
        async with serve(role="all", rabbitmq_url=market_broker) as customers:
            customer, order = (await register(customers))["id"], uuid7()
            body = envelope(*confirmed(order, customer))
            queue = "customers.on.order.confirmed.v1"
            for _ in range(2):  # the second is a duplicate
                await channel.default_exchange.publish(aio_pika.Message(body), queue)

            async def answer() -> AbstractIncomingMessage | None:
                return await answers.get(no_ack=True, fail=False)

            message = await eventually(answer)
            assert message is not None
            event = json.loads(message.body)
            assert (event["type"], event["subject"]) == ("credit.reserved.v1", str(order))
            assert event["causationid"] == json.loads(body)["id"]
            assert await credit(customers, customer) == (9_000, 1_000, 0)
        # The process has finished and acknowledged what it had in hand.
        assert await answers.get(no_ack=True, fail=False) is None
        left = await channel.declare_queue(queue, passive=True)
        assert left.declaration_result.message_count == 0


def envelope(event_type: str, data: dict[str, object]) -> bytes:
    return json.dumps(
        {
            "specversion": "1.0",
            "id": str(uuid7()),
            "source": "orders",
            "type": event_type,
            "subject": str(data["order_id"]),
            "time": utc_now().isoformat(),
            "tenantid": "default",
            "sequence": 1,
            "data": data,
        },
        default=str,
    ).encode()
