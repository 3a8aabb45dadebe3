"""Simulates a broker in memory, to which the relay's and the subscriber's own libraries talk.

It confirms a message some time after it has taken it, and keeps what is not acknowledged.
"""

from collections.abc import Callable
from itertools import count

from pamqp import commands

from tests.simulation.interleavings.amqp import Connection
from tests.simulation.interleavings.loop import HERE, SeededLoop
from tests.simulation.interleavings.network import Host
from tests.simulation.interleavings.queues import Queue, Stored


class Broker:
    """A `Broker` has `bindings`, its queues by routing key. `missing` queues do not exist now,
    messages with `mute` routing keys are taken and not confirmed, and the next `nacks` are refused.

    The attributes `on_…` are called with what happens, before anybody else knows.
    """

    def __init__(self, loop: SeededLoop, bindings: dict[str, list[str]]) -> None:
        self.loop = loop
        self.bindings = bindings
        self.queues = {name: Queue(name) for names in bindings.values() for name in names}
        self.missing: set[str] = set()
        self.mute: set[str] = set()
        self.nacks = 0
        self.on_publish: Callable[[Host, str], None] = lambda *_: None
        self.on_take: Callable[[str], None] = lambda _: None
        self.on_ack: Callable[[str, Stored], None] = lambda *_: None
        self.on_consume: Callable[[str, int], None] = lambda *_: None
        self.clients: dict[Connection, None] = {}
        self.taken: dict[str, set[str]] = {}
        self.dead: list[tuple[str, str]] = []
        self._positions = count()

    def take(self, key: str, properties: commands.Basic.Properties, content: bytes) -> bool:
        """Put the message into its queues. Returns False when it has none."""
        queues = [self.queues[name] for name in self.bindings.get(key, ())]
        queues = [queue for queue in queues if queue.name not in self.missing]
        if queues:
            self.on_take(str(properties.message_id))
        for queue in queues:
            stored = Stored(next(self._positions), properties, key, content)
            queue.waiting.append(stored)
            self.taken.setdefault(stored.id, set()).add(queue.name)
            self.deliver(queue)
        return bool(queues)

    def deliver(self, queue: Queue) -> None:
        while queue.waiting:
            free = [each for each in queue.consumers if each.held < each.prefetch]
            if not free:
                return
            consumer = self.loop.random.choice(free)
            consumer.channel.connection.deliver(consumer, queue.waiting.pop(0))

    def take_back(self, queue: Queue, stored: Stored) -> None:
        stored.redelivered = True
        queue.waiting.append(stored)
        queue.waiting.sort(key=lambda each: each.position)
        self.loop.call_soon(self.deliver, queue)

    def is_at_work(self, queue: str) -> bool:
        """Return whether a message is in the queue or with a consumer."""
        found = self.queues[queue]
        return bool(found.waiting) or any(each.held for each in found.consumers)

    def holders(self) -> list[Connection]:
        """Return the clients that hold unacknowledged messages."""
        return [client for client in self.clients if client.holds_messages()]

    def cut(self) -> None:
        """Lose every connection, and keep the messages that were taken."""
        for client in list(self.clients):
            client.transport.line.cut()

    def connection(self) -> Connection:
        client = Connection(self, HERE.get())
        self.clients[client] = None
        return client
