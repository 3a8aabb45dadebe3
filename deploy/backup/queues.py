"""After databases were set back in time, the broker's queues are adapted to them.

The queues hold events that were published after the moment of the databases, about purchases that
no longer exist: these are discarded. The databases lack the events that the queues have delivered
since: events that the archives hold and no inbox knows are sent again. Repeating it changes
nothing. No service may run.
"""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from uuid import UUID

from aio_pika.abc import (
    AbstractConnection,
    AbstractIncomingMessage,
    AbstractQueue,
)

from deploy.backup.failure import BackupFailed
from deploy.checker.snapshot import Connections, connected
from libs.kernel.ids import time_of
from libs.messaging.dead_letters import replay
from libs.messaging.dead_letters.copies import HEADER_QUEUE
from libs.messaging.dead_letters.missed import missed
from libs.messaging.names import dead_queue
from libs.messaging.saga.choreography import ConsumedEvent, DescribedParticipant

MARGIN = timedelta(minutes=5)
"""An event may be this much older than its transaction, or its publisher's clock may be this much
behind.
"""
QUIET_SECONDS = 10.0

PUBLISHED = """
    SELECT id FROM outbox WHERE created_at > $1
    UNION ALL SELECT id FROM outbox_archive WHERE created_at > $1"""
ALWAYS = datetime(1970, 1, 1, tzinfo=UTC)

Held = defaultdict[str, set[UUID]]
"""These are the ids that stay, by their queue."""


@dataclass
class Rewound:
    """This many messages were discarded, and this many events sent again."""

    discarded: int = 0
    sent: int = 0


async def rewind(
    databases: Mapping[str, str],
    participants: Sequence[DescribedParticipant],
    rabbitmq_url: str,
    moment: datetime,
    tell: Callable[[str], None] = lambda _: None,
) -> Rewound:
    """Adapt the queues. `moment` is that of the databases, which are asyncpg URLs by service name.
    `rabbitmq_url` is that of an administrator.

    Raises BackupFailed where a service still consumes, or the errors of asyncpg and aio_pika.
    """
    done = Rewound()
    publishers = {
        event.type: participant.name
        for participant in participants
        for event in participant.publishes
    }
    async with connected(databases) as connections:
        published: dict[str, set[UUID]] = {}
        for name, connection in connections.items():
            rows = await connection.fetch(PUBLISHED, moment - 2 * MARGIN)
            published[name] = {row["id"] for row in rows}

        def is_of_a_lost_time(message: AbstractIncomingMessage) -> bool:
            identifier = _id_of(message)
            publisher = publishers.get(message.type or "")
            if identifier is None or publisher is None:
                return False
            return time_of(identifier) > moment - MARGIN and identifier not in published[publisher]

        async with replay.connected(rabbitmq_url, "restore") as broker:
            for participant in participants:
                tell(f"queues of {participant.name}")
                held: Held = defaultdict(set)
                queues = [each.queue for each in participant.consumes]
                for queue in (*queues, dead_queue(participant.name)):
                    done.discarded += await _sort(broker, queue, is_of_a_lost_time, held)
                for reaction in participant.consumes:
                    publisher = publishers[reaction.event_type]
                    done.sent += await _send_again(
                        broker, connections, publisher, reaction, held[reaction.queue]
                    )
    return done


async def _sort(
    broker: AbstractConnection,
    name: str,
    unwanted: Callable[[AbstractIncomingMessage], bool],
    held: Held,
) -> int:
    """Discard the unwanted messages. The rest returns to the queue when the channel closes, also
    when this process is killed.
    """
    channel = await broker.channel()
    queue = await channel.declare_queue(name, passive=True)
    if queue.declaration_result.consumer_count:
        raise BackupFailed(f"a service consumes {name}: stop all services first")
    count = queue.declaration_result.message_count or 0
    discarded = 0
    if count:
        async for message in _taken(queue, count):
            identifier = _id_of(message)
            if unwanted(message):
                await message.ack()
                discarded += 1
            elif identifier is not None:
                held[str(message.headers.get(HEADER_QUEUE) or name)].add(identifier)
    await channel.close()
    return discarded


async def _taken(queue: AbstractQueue, count: int) -> AsyncIterator[AbstractIncomingMessage]:
    """Yield this number of messages, each once."""
    arrived: asyncio.Queue[AbstractIncomingMessage] = asyncio.Queue()
    tag = await queue.consume(arrived.put)
    for _ in range(count):
        async with asyncio.timeout(QUIET_SECONDS):
            message = await arrived.get()
        yield message
    await queue.cancel(tag)


async def _send_again(
    broker: AbstractConnection,
    connections: Connections,
    publisher: str,
    reaction: ConsumedEvent,
    held: set[UUID],
) -> int:
    """Send the archived events that neither this reaction has handled nor its queue holds."""
    archive, inbox = connections[publisher], connections[reaction.service]
    sent = 0
    channel = await broker.channel(on_return_raises=True)
    async for events in missed(archive, inbox, reaction.queue, reaction.event_type, ALWAYS):
        for event in events:
            if event.id not in held:
                await replay.send_to_queue(channel, replay.message_of(event), reaction.queue)
                sent += 1
    await channel.close()
    return sent


def _id_of(message: AbstractIncomingMessage) -> UUID | None:
    """Return the message's id; None for a message that the system did not publish."""
    try:
        identifier = UUID(message.message_id or "")
        time_of(identifier)
    except ValueError:
        return None
    return identifier
