"""A service gets the events that its views have missed, from the archives of all services."""

from collections.abc import Callable
from datetime import UTC, datetime

import asyncpg
from aio_pika.exceptions import AMQPError

from deploy.checker.snapshot import connected
from deploy.checker.verify import databases
from deploy.installation import CHOREOGRAPHY, Installation
from libs.messaging.dead_letters.replay_service import ReplayError, replay_to_service
from libs.messaging.saga.choreography import read
from libs.messaging.schema.inbox_window import INBOX_WINDOW


async def replay_missed(
    installation: Installation, service: str, tell: Callable[[str], None] = lambda _: None
) -> int:
    """Return how many were sent. Raises ReplayError with one line that says why it cannot."""
    since = datetime.now(UTC) - INBOX_WINDOW.replayable
    broker = installation.broker_url(installation.administrator)
    try:
        async with connected(databases(installation)) as connections:
            return await replay_to_service(
                broker, connections, read(CHOREOGRAPHY), service, since, tell
            )
    except (AMQPError, asyncpg.PostgresError, OSError) as error:
        raise ReplayError(" ".join(str(error).split()) or type(error).__name__) from None
