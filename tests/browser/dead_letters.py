"""Makes a dead letter for a test."""

import aio_pika

from deploy.installation import ADMINISTRATOR
from libs.messaging.names import dead_letter_exchange, dead_queue
from tests.e2e.system import System
from tests.fixtures.polling import eventually


async def give_up_next_message(system: System, queue: str) -> None:
    """Give up a message, as a subscriber does whose reaction failed for good."""
    url = system.installation.broker_url(ADMINISTRATOR)
    connection = await aio_pika.connect(url)
    async with connection, connection.channel() as channel:
        waiting = await channel.get_queue(queue)

        async def taken() -> aio_pika.abc.AbstractIncomingMessage | None:
            return await waiting.get(fail=False)

        message = await eventually(taken)
        assert message is not None
        service = queue.partition(".")[0]
        exchange = await channel.get_exchange(dead_letter_exchange(service))
        again = aio_pika.Message(
            message.body,
            headers={
                "x-origin-queue": queue,
                "x-error": "KeyError: price_cents",
                "x-attempts": 4,
            },
            content_type=message.content_type,
            message_id=message.message_id,
            delivery_mode=aio_pika.DeliveryMode.PERSISTENT,
        )
        await exchange.publish(again, dead_queue(service))
        await message.ack()
