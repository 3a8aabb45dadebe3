"""Keeps the state of a broker: messages in queues, and each channel's unacknowledged messages."""

from dataclasses import dataclass, field
from enum import Enum
from typing import TYPE_CHECKING

from pamqp import commands

if TYPE_CHECKING:
    from tests.simulation.interleavings.amqp import Connection


class Answer(Enum):
    """An `Answer` is what the broker says of a published message."""

    ACK = "taken"
    NACK = "refused"
    NONE = "nothing at all"


@dataclass(eq=False)
class Stored:
    """A `Stored` message is in a queue. It keeps its `position` there when it is returned."""

    position: int
    properties: commands.Basic.Properties
    routing_key: str
    body: bytes
    redelivered: bool = False

    @property
    def id(self) -> str:
        return str(self.properties.message_id)


@dataclass(eq=False)
class Queue:
    name: str
    waiting: list[Stored] = field(default_factory=list)
    consumers: list["Consumer"] = field(default_factory=list)


@dataclass(eq=False)
class Consumer:
    channel: "Channel"
    tag: str
    queue: Queue
    prefetch: int
    held: int = 0


@dataclass(eq=False)
class Channel:
    connection: "Connection"
    number: int
    prefetch: int = 0
    confirms: bool = False
    published: int = 0
    unanswered: dict[int, Answer] = field(default_factory=dict)
    delivered: int = 0
    held: dict[int, tuple[Consumer, Stored]] = field(default_factory=dict)
    consumers: dict[str, Consumer] = field(default_factory=dict)
    arriving: tuple[commands.Basic.Publish, commands.Basic.Properties] | None = None
    ended: bool = False
