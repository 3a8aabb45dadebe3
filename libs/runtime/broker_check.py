"""At start a service checks that the broker accepts its connection; if not, one line says why."""

import asyncio

import aiormq
from aiormq.exceptions import AMQPError
from yarl import URL

from libs.messaging.broker_url import connect_to_any, describe_broker_refusal
from libs.runtime.settings import ServiceSettings
from libs.runtime.start_failure import StartFailure

CONNECT_SECONDS = 5.0


async def check_broker(settings: ServiceSettings) -> None:
    """Connect once, where the role needs the broker. Raises StartFailure without the password.

    After the start, a broker that goes away is waited for.
    """
    if not settings.rabbitmq_url or settings.role == "api":
        return
    await connect_to_any(settings.rabbitmq_url, _check)


async def _check(place: URL) -> None:
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            connection = await aiormq.connect(place)
            await connection.close()
    except (AMQPError, OSError, TimeoutError) as error:
        raise StartFailure(describe_broker_refusal(error, place)) from None
