"""The broker at start: reachable and willing, or one line that says what is not."""

import asyncio

import aiormq
from aiormq.exceptions import AMQPError
from yarl import URL

from libs.runtime.failure import StartFailure
from libs.runtime.settings import ServiceSettings

CONNECT_SECONDS = 5.0


async def check_broker(settings: ServiceSettings) -> None:
    """Connect once, where the role needs the broker; raises StartFailure without the password.

    Afterwards a broker that goes away is waited for.
    """
    if not settings.rabbitmq_url or settings.role == "api":
        return
    url = URL(settings.rabbitmq_url)
    place = f"{url.host}:{url.port or 5672}"
    try:
        async with asyncio.timeout(CONNECT_SECONDS):
            connection = await aiormq.connect(url)
            await connection.close()
    except (AMQPError, OSError, TimeoutError) as error:
        reason = " ".join(str(error).split()) or type(error).__name__
        if isinstance(error, AMQPError) and "Errno" not in reason:
            # The broker closes without a word on a vhost that is missing or forbidden.
            who = f"the user {url.user}, its password or the vhost {url.path}"
            raise StartFailure(f"the broker at {place} refuses {who}") from None
        raise StartFailure(f"no broker answers at {place}: {reason}") from None
