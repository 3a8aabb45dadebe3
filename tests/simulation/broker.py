"""Simulates a broker that keeps messages until they are acknowledged, and promises no order."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from libs.messaging.outbox.outbox import OutboxRow
from libs.messaging.saga.participant import Participant
from libs.messaging.topology import topology_of


@dataclass(eq=False)
class Message:
    """A `Message` is a copy of an event in one queue, with the part of aio-pika's that is used."""

    body: bytes
    message_id: str
    subject: str
    loses_acknowledgement: bool = False
    settled: bool = False
    is_closed: bool = False

    @property
    def channel(self) -> "Message":
        return self

    async def ack(self) -> None:
        if self.loses_acknowledgement:
            self.loses_acknowledgement = False
            raise ConnectionError
        self.settled = True


@dataclass
class Broker:
    """`bindings` are the queues by exchange and routing key. `dead` counts the dead letters, and
    `forged` the messages that no service published: both by queue and message id.
    """

    bindings: dict[tuple[str, str], list[str]]
    queues: dict[str, list[Message]] = field(default_factory=dict)
    dead: Counter[tuple[str, str]] = field(default_factory=Counter)
    forged: Counter[tuple[str, str]] = field(default_factory=Counter)

    @classmethod
    def between(cls, participants: Sequence[Participant]) -> "Broker":
        topology = topology_of(participants)
        bindings: dict[tuple[str, str], list[str]] = defaultdict(list)
        for binding in topology.bindings:
            bindings[binding.exchange, binding.routing_key].append(binding.queue)
        own: dict[str, list[Message]] = {
            reaction.queue: [] for each in participants for reaction in each.reacts_to
        }
        return cls(dict(bindings), own)

    def publish(self, exchange: str, row: OutboxRow, *, most: int | None) -> None:
        """Put a copy into the first `most` of its queues. A broker that dies reaches only some."""
        for queue in self.bindings.get((exchange, row.type), ())[:most]:
            self.queues[queue].append(Message(row.body, str(row.id), row.subject))

    def forge(self, queue: str, row: OutboxRow) -> None:
        """Put a message with other content and the id of this event into the queue."""
        message = Message(b" " + row.body, str(row.id), row.subject)
        self.queues[queue].append(message)
        self.forged[queue, message.message_id] += 1

    def shuffle(self, order: int) -> None:
        """Order the queues by `order`; 2n and 2n + 1 are opposite orders."""
        queues = sorted(self.queues)
        Random(order // 2).shuffle(queues)
        self.queues = {queue: self.queues[queue] for queue in queues[:: -1 if order % 2 else 1]}

    def forget_settled(self, queue: str) -> None:
        self.queues[queue] = [each for each in self.queues[queue] if not each.settled]

    def waiting(self) -> list[str]:
        return [queue for queue, messages in self.queues.items() if messages]

    async def send(self, message: Any, *, queue: str, error: str, attempts: int) -> None:
        """Count the dead letter that a rejected message becomes."""
        self.dead[queue, message.message_id] += 1
