"""Plays whole purchases and records the messages of each.

The services' own code runs, over a database and a broker in memory (tests/simulation), so nobody
counts by hand.
"""

from collections.abc import Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

from libs.messaging.saga.reactions import Step
from tests.simulation.people import People
from tests.simulation.running import without_logs
from tests.simulation.stages import (
    SOLD,
    UNSOLD,
    Act,
    Beginning,
    Flaw,
    approved,
    cancel,
    close,
    declined,
    expire,
    pay,
    refused,
    settle,
    start_purchase,
)
from tests.simulation.workers import Workers
from tests.simulation.world import World

STARTS = "orders"
"""A purchase begins and ends here. A system with a coordinator has it in this place."""


@dataclass(frozen=True)
class Told:
    """One event of a purchase. `steps` are those of its deliveries, one for each queue."""

    id: str
    type: str
    source: str
    cause: str | None
    size: int
    steps: Sequence[tuple[str, Step]]

    @property
    def moves(self) -> Sequence[str]:
        """Return the services that this event moves forward or back."""
        return [service for service, step in self.steps if step is not Step.VIEW]


@dataclass(frozen=True)
class Story:
    """A `Story` is a finished purchase. Its `events` are in the order of their publishing."""

    title: str
    state: str
    reason: str | None
    events: Sequence[Told]

    @property
    def deliveries(self) -> int:
        return sum(len(each.steps) for each in self.events)

    @property
    def moving(self) -> int:
        """Return the number of deliveries that move the purchase. The others only update a view."""
        return sum(len(each.moves) for each in self.events)

    @property
    def commands(self) -> int:
        """Return how many more messages a coordinator would send: a command for each step at
        another service. The events stay, because the steps' answers and the views need them.
        """
        return sum(service != STARTS for each in self.events for service in each.moves)

    @property
    def bytes(self) -> int:
        """Return the number of bytes of the events' bodies."""
        return sum(each.size for each in self.events)

    def hops(self, last: str) -> int:
        """Return the number of messages in sequence until `orders` has consumed the event of this
        type.
        """
        return len(self._chain(last))

    def hops_coordinated(self, last: str) -> int:
        """Return the same number if a coordinator consumes each answer before its next command."""
        chain = self._chain(last)
        return len(chain) + sum(each.source != STARTS for each in chain[:-1])

    def _chain(self, last: str) -> Sequence[Told]:
        """Return the event of this type, preceded by what caused it, back to the first."""
        by_id = {each.id: each for each in self.events}
        found = [next(each for each in self.events if each.type == last)]
        while (cause := by_id.get(found[0].cause or "")) is not None:
            found.insert(0, cause)
        return found


PLOTS: Mapping[str, tuple[Flaw | None, Sequence[Act]]] = {
    "sold": (None, SOLD),
    "sold, picked up, seller paid": (None, (*SOLD, close, settle, approved, settle)),
    "credit too low": (Flaw.NO_CREDIT, (settle,)),
    "vehicle is another buyer's": (Flaw.TAKEN, (settle,)),
    "amount not payable": (Flaw.NOT_PAYABLE, (settle,)),
    "card declined": (None, (settle, pay, declined, settle)),
    "code not paid in time": (None, (settle, expire, settle)),
    "cancelled before paying": (None, (settle, cancel, settle)),
    "vehicle withdrawn while it is paid": (None, (*UNSOLD, settle, approved, settle)),
    "cancelled after the sale": (None, (*SOLD, cancel, settle, approved, settle)),
    "cancelled after the sale, first refunds refused": (
        None,
        (*SOLD, cancel, settle, refused, settle, approved, settle),
    ),
}
"""By title: the purchase's flaw from its beginning, and what happens."""


def stories() -> Sequence[Story]:
    return [play(title) for title in PLOTS]


def play(title: str, stalled: frozenset[str] = frozenset()) -> Story:
    """Return the purchase of this title. Nothing is taken from `stalled` queues."""
    flaw, acts = PLOTS[title]
    world = World()
    workers = Workers(world)
    people = People(world)
    with without_logs(), closing(workers):
        if flaw is Flaw.TAKEN:
            start_purchase(people, None)
            settle(Beginning(world, people, workers, "yes", None))
        start_purchase(people, flaw)
        world.stalled = set(stalled)
        it = Beginning(world, people, workers, "yes", flaw)
        for act in acts:
            act(it)
    return _told(title, world, str(people.purchases()[-1].id))


def _told(title: str, world: World, order_id: str) -> Story:
    rows = [row for service in world.services for row in world.archive(service)]
    events = [(world.read(row), len(row.body)) for row in rows]
    of_it = [
        _event(world, event, size)
        for event, size in sorted(events, key=lambda each: str(each[0]["id"]))
        if event.get("correlationid") == order_id
    ]
    purchase = next(
        each for identifier, each in world.purchases().items() if str(identifier) == order_id
    )
    return Story(title, str(purchase.state), purchase.reason, of_it)


def _event(world: World, event: dict[str, Any], size: int) -> Told:
    steps = {each.queue: each.step for each in world.reactions}
    queues = world.broker.bindings.get((event["source"], event["type"]), [])
    return Told(
        id=event["id"],
        type=event["type"],
        source=event["source"],
        cause=event.get("causationid"),
        size=size,
        steps=[(queue.partition(".on.")[0], steps[queue]) for queue in queues],
    )
