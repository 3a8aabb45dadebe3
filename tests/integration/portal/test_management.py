"""The portal consumes a purchase's events from RabbitMQ and shows them in its timeline."""

import json

import aio_pika

from libs.kernel.ids import uuid7
from tests.fixtures.polling import eventually
from tests.integration.portal.conftest import AddUser, Serve, signed_in
from tests.integration.portal.purchases import WAY_FORWARD, envelope


async def test_events_from_the_broker_stand_in_the_timeline_once(
    serve: Serve, market_broker: str, add_user: AddUser
) -> None:
    await add_user("operator")
    order_id = uuid7()
    events = [envelope(order_id, consumed, after_ms=n) for n, consumed in enumerate(WAY_FORWARD)]
    async with (
        await aio_pika.connect(market_broker) as connection,
        await connection.channel() as channel,
        serve(role="all", rabbitmq_url=market_broker) as portal,
    ):
        await signed_in(portal, "operator@example.com")
        for event in [*reversed(events), *events]:  # events come out of order, then each once more
            exchange = await channel.get_exchange(event["source"])
            message = aio_pika.Message(json.dumps(event).encode())
            await exchange.publish(message, event["type"])

        async def told() -> list[str]:
            answer = await portal.get(f"/api/purchases/{order_id}/timeline")
            found = [each["type"] for each in answer.json().get("events", [])]
            return found if len(found) >= len(events) else []

        assert await eventually(told) == [consumed[0] for consumed in WAY_FORWARD]
        assert await told() == [consumed[0] for consumed in WAY_FORWARD]
