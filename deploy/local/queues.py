"""The messages in the broker's queues. It only reads: nothing is consumed from a work queue."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from aio_pika.exceptions import ChannelNotFoundEntity

from libs.messaging.dead_letters.dead_letters import DeadLetter, DeadLetters
from libs.messaging.dead_letters.replay import connected
from libs.messaging.saga.choreography import DescribedParticipant
from libs.messaging.topology import dead_queue


@dataclass(frozen=True)
class Queues:
    """`waiting` holds the messages ready in each work queue that has any; `missing` names queues
    that should exist. `dead_letters` are the messages that services gave up.
    """

    waiting: Mapping[str, int]
    missing: Sequence[str]
    dead_letters: Sequence[DeadLetter]


async def read_queues(rabbitmq_url: str, participants: Sequence[DescribedParticipant]) -> Queues:
    """`rabbitmq_url` is that of a user who may read every queue. Raises AMQPError and OSError."""
    work = [reaction.queue for each in participants for reaction in each.consumes]
    dead = {dead_queue(each.name): each for each in participants}
    held: dict[str, int] = {}
    missing: list[str] = []
    async with connected(rabbitmq_url, "verify") as connection:
        channel = await connection.channel()
        for name in (*work, *dead):
            try:
                queue = await channel.declare_queue(name, passive=True)
                held[name] = queue.declaration_result.message_count or 0
            except ChannelNotFoundEntity:
                missing.append(name)
                channel = await connection.channel()
    given_up = [participant for name, participant in dead.items() if held.get(name)]
    return Queues(
        waiting={name: held[name] for name in work if held.get(name)},
        missing=missing,
        dead_letters=await DeadLetters(given_up, rabbitmq_url).listed() if given_up else [],
    )
