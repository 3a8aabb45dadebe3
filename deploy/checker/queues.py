"""The messages in the broker's queues are only read: nothing is consumed from a work queue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from aio_pika.abc import AbstractConnection
from aio_pika.exceptions import ChannelNotFoundEntity

from libs.messaging.dead_letters.dead_letters import DeadLetter, DeadLetters
from libs.messaging.dead_letters.replay import connected
from libs.messaging.names import dead_queue
from libs.messaging.saga.choreography import DescribedParticipant
from libs.messaging.view_queues import overflow_queue, view_queues


@dataclass(frozen=True)
class Queues:
    """`waiting` says how many messages are ready in each work queue that has any; `missing` names
    queues that should exist. `dead_letters` are the messages that services gave up. For each
    service whose bounded queues dropped events, `dropped` says which queue did last, and when.
    """

    waiting: Mapping[str, int]
    missing: Sequence[str]
    dead_letters: Sequence[DeadLetter]
    dropped: Mapping[str, str]


async def read_queues(rabbitmq_url: str, participants: Sequence[DescribedParticipant]) -> Queues:
    """Read the queues as a user who may read every queue. Raises AMQPError or OSError."""
    work = [reaction.queue for each in participants for reaction in each.consumes]
    dead = {dead_queue(each.name): each for each in participants}
    overflow = {overflow_queue(each.name): each.name for each in participants if view_queues(each)}
    held: dict[str, int] = {}
    missing: list[str] = []
    async with connected(rabbitmq_url, "verify") as connection:
        channel = await connection.channel()
        for name in (*work, *dead, *overflow):
            try:
                queue = await channel.declare_queue(name, passive=True)
                held[name] = queue.declaration_result.message_count or 0
            except ChannelNotFoundEntity:
                missing.append(name)
                channel = await connection.channel()
        dropped = {
            overflow[name]: await _last_dropped(connection, name)
            for name in overflow
            if held.get(name)
        }
    given_up = [participant for name, participant in dead.items() if held.get(name)]
    return Queues(
        waiting={name: held[name] for name in work if held.get(name)},
        missing=missing,
        dead_letters=await DeadLetters(given_up, rabbitmq_url).listed() if given_up else [],
        dropped=dropped,
    )


async def _last_dropped(connection: AbstractConnection, overflow: str) -> str:
    """Look at the message, which returns to its queue."""
    channel = await connection.channel()
    message = await (await channel.get_queue(overflow, ensure=False)).get(fail=False)
    deaths = message.headers.get("x-death") if message else None
    await channel.close()
    match deaths:
        case [{"queue": str() as queue, "time": datetime() as at}, *_]:
            return f"{queue}, at {at:%Y-%m-%d %H:%M} UTC"
        case _:  # another reader holds the message just now
            return overflow
