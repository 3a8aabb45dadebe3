"""Checks the rules that hold while the tasks run, and when everything is delivered."""

from collections import defaultdict
from dataclasses import dataclass
from uuid import UUID

from tests.simulation.interleavings.broker import Broker
from tests.simulation.interleavings.loop import SeededLoop
from tests.simulation.interleavings.network import Host
from tests.simulation.interleavings.postgres import Postgres, Server
from tests.simulation.interleavings.processes import BINDINGS
from tests.simulation.interleavings.queues import Stored
from tests.simulation.rules import InvariantBroken

NOTHING_LOST = "what is committed is published, and has its effect"
ONE_EFFECT = "an event has its effect once"
IN_ORDER = "the events of a subject are published in their order"
CONFIRMED_FIRST = "a row is deleted after the broker has taken its event"
COMMITTED_FIRST = "a message is acknowledged after the commit of its effect"
ONE_RELAY = "while nothing fails, an event is published once"
AT_ONCE = "while nothing fails, an event is published at once: no wake-up is lost"
NO_DEAD_LETTER = "no good message becomes a dead letter"
BOUNDED = "a consumer holds a bounded number of messages"
READY = "a process is ready when all is well"
AT_REST = "nobody is busy while there is nothing to do"
STOPS = "a process stops in time, and leaves no task"
TOLD = "no exception is unexpected, and none is swallowed"

PREFETCH = 6
"""The subscriber's prefetch here is small, so that runs meet the bound."""


@dataclass(frozen=True)
class Published:
    """A `Published` event is committed. It has a place in the outbox and a time of its commit."""

    id: str
    seq: int
    subject: str
    type: str
    at: float


class Watch:
    """A `Watch` observes databases and broker. `broken` is the first rule that was broken.

    `nothing_fails` is true while no fault has been made.
    """

    def __init__(self, loop: SeededLoop, shop: Postgres, credit: Postgres, broker: Broker) -> None:
        self.published: dict[str, Published] = {}
        self.taken_at: dict[str, float] = {}
        self.nothing_fails = True
        self.broken: InvariantBroken | None = None
        self._loop = loop
        self._shop = shop
        self._credit = credit
        self._broker = broker
        self._of_subject: dict[str, list[Published]] = defaultdict(list)
        self._published: set[str] = set()
        shop.on_commit = self._outbox_changes
        broker.on_publish = self._published_by
        broker.on_take = self._taken
        broker.on_ack = self._acknowledged
        broker.on_consume = self._consumes

    def breaks(self, rule: str, told: object) -> None:
        self.broken = self.broken or InvariantBroken(rule, [str(told)])

    def raise_if_broken(self) -> None:
        if self.broken is not None:
            raise self.broken

    def all_is_delivered(self) -> bool:
        return all(
            self._broker.taken.get(each.id) and self._effects(each)
            for each in self.published.values()
        ) and not (
            self._shop.tables.get("outbox")
            or any(self._broker.is_at_work(queue) for queue in self._broker.queues)
        )

    def at_rest(self) -> None:
        """Check that every event is published and has had one effect, and that nothing waits."""
        for each in self.published.values():
            effects = self._effects(each)
            if not effects:
                self.breaks(NOTHING_LOST, each)
            if effects > 1:
                self.breaks(ONE_EFFECT, f"{effects} of {each}")
        if not self.all_is_delivered():
            self.breaks(NOTHING_LOST, "rows or messages still wait")
        if self._broker.dead:
            self.breaks(NO_DEAD_LETTER, self._broker.dead)

    def published_within(self, seconds: float) -> None:
        for each in self.published.values():
            took = self.taken_at.get(each.id, self._loop.time()) - each.at
            if took > seconds:
                self.breaks(AT_ONCE, f"{took:.3f} s for {each}")

    def _effects(self, event: Published) -> int:
        """Return how many effects the event has had."""
        (queue,) = BINDINGS[event.type]
        effects: dict[tuple[str, UUID], int] = self._credit.tables.get("effects", {})
        return effects.get((queue, UUID(event.id)), 0)

    def _outbox_changes(self, server: Server) -> None:
        before = server.postgres.tables.get("outbox", {})
        for (table, seq), row in server.changes.items():
            if table != "outbox":
                continue
            if row is None:
                self._deleted(str(before[seq].id), before[seq].type)
            elif seq not in before:
                published = Published(str(row.id), seq, row.subject, row.type, self._loop.time())
                self.published[published.id] = published
                self._of_subject[published.subject].append(published)

    def _deleted(self, identifier: str, kind: str) -> None:
        if not self._broker.taken.get(identifier, set()).issuperset(BINDINGS[kind]):
            self.breaks(CONFIRMED_FIRST, self.published[identifier])

    def _published_by(self, host: Host, identifier: str) -> None:
        if self.nothing_fails and identifier in self._published:
            self.breaks(ONE_RELAY, f"again by {host.name}: {self.published[identifier]}")
        self._published.add(identifier)

    def _taken(self, identifier: str) -> None:
        event = self.published[identifier]
        self.taken_at.setdefault(identifier, self._loop.time())
        for earlier in self._of_subject[event.subject]:
            if earlier.seq < event.seq and earlier.id not in self.taken_at:
                self.breaks(IN_ORDER, f"{event} before {earlier}")

    def _acknowledged(self, queue: str, message: Stored) -> None:
        known = (queue, UUID(message.id)) in self._credit.tables.get("inbox", {})
        if not known and (queue, message.id) not in self._broker.dead:
            self.breaks(COMMITTED_FIRST, f"{queue}: {self.published[message.id]}")

    def _consumes(self, queue: str, prefetch: int) -> None:
        if not 0 < prefetch <= PREFETCH:
            self.breaks(BOUNDED, f"{queue}: {prefetch}")
