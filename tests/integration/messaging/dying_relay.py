"""A relay that is killed between the broker's confirm and its own delete. Run as a process."""

import asyncio
import os
import signal
import sys

from libs.messaging.relay import Relay
from tests.integration.messaging.relaying import SERVICE


async def main(dsn: str, broker: str) -> None:
    await Relay(
        SERVICE,
        database_dsn=dsn,
        rabbitmq_url=broker,
        after_confirm=lambda: os.kill(os.getpid(), signal.SIGKILL),
    ).run()


if __name__ == "__main__":
    asyncio.run(main(*sys.argv[1:]))
