"""A replay completes the views of a service whose bounded queues have dropped events.

It compares the publishers' archives with the service's inbox and sends what is missing there, so it
needs no record of what was dropped. It may be stopped and run again: an event has one effect.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from datetime import datetime

from aio_pika.abc import AbstractChannel, AbstractConnection
from aio_pika.exceptions import ChannelNotFoundEntity

from libs.messaging.database import Connection
from libs.messaging.dead_letters.missed import AT_A_TIME, missed
from libs.messaging.dead_letters.replay import connected, message_of, send_to_queue
from libs.messaging.saga.choreography import Choreography
from libs.messaging.view_queues import overflow_queue, view_queues

LOOK_SECONDS = 0.1
PATIENCE_SECONDS = 60.0


class ReplayError(Exception):
    """The views cannot be completed. One line says why."""


async def replay_to_service(
    rabbitmq_url: str,
    databases: Mapping[str, Connection],
    choreography: Choreography,
    service: str,
    since: datetime,
    tell: Callable[[str], None] = lambda _: None,
) -> int:
    """Send each bounded queue of `service`, which has to run, the events written since then that it
    has not handled. Returns how many. `databases` are those of all services by name.

    The message that says that something was dropped goes away at the end, unless something was
    dropped meanwhile. Raises ReplayError where nobody consumes a queue, or too slowly.
    """
    participant = choreography.participant(service)
    queues = view_queues(participant) if participant else frozenset()
    if not participant or not queues:
        raise ReplayError(f"no queue of {service!r} is bounded, so none has dropped anything")
    sent = 0
    async with connected(rabbitmq_url, "replay") as connection, _overflow_held(connection, service):
        channel = await connection.channel(on_return_raises=True)
        for reaction in participant.consumes:
            if reaction.queue not in queues:
                continue
            await _room(channel, reaction.queue)  # what still waits there needs no second copy
            archive = databases[choreography.publishers[reaction.event_type]]
            count = 0
            async for events in missed(
                archive, databases[service], reaction.queue, reaction.event_type, since
            ):
                await _room(channel, reaction.queue)
                for event in events:
                    await send_to_queue(channel, message_of(event), reaction.queue)
                count += len(events)
            tell(f"{reaction.queue}: {count} events")
            sent += count
    return sent


@asynccontextmanager
async def _overflow_held(connection: AbstractConnection, service: str) -> AsyncIterator[None]:
    """Hold the message that says that something was dropped. It comes back when the block fails or
    this process is killed; another one that arrives meanwhile stays.
    """
    channel = await connection.channel()
    try:
        queue = await channel.declare_queue(overflow_queue(service), passive=True)
    except ChannelNotFoundEntity:
        name = overflow_queue(service)
        raise ReplayError(f"queue {name} is missing; run topology apply") from None
    message = await queue.get(fail=False)
    yield
    if message is not None:
        await message.ack()
    await channel.close()


async def _room(channel: AbstractChannel, queue: str) -> None:
    """Wait until the queue is short, so that what is sent next is not dropped too."""
    deadline, shortest = time.monotonic() + PATIENCE_SECONDS, None
    while True:
        state = (await channel.declare_queue(queue, passive=True)).declaration_result
        waiting = state.message_count or 0
        if not state.consumer_count:
            raise ReplayError(f"nobody consumes {queue}: start its service first")
        if waiting < AT_A_TIME:
            return
        if shortest is None or waiting < shortest:
            deadline, shortest = time.monotonic() + PATIENCE_SECONDS, waiting
        if time.monotonic() > deadline:
            raise ReplayError(f"{queue} grows faster than its service works: {waiting} wait")
        await asyncio.sleep(LOOK_SECONDS)
