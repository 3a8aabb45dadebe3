"""Finds which events of one subject each service consumed before which others.

A service may consume the events of a subject in any order. A rule that depends on the order is
shown only by a run in which that order occurred, so the runs count the orders they have seen.
"""

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import combinations, permutations

from libs.messaging.saga.participant import Participant
from tests.simulation.world import World

SUBJECTS = ("order_id", "vehicle_id", "customer_id")
"""The field that names an event's subject: the first of these that the event has."""


@dataclass(frozen=True, order=True)
class Pair:
    """A `Pair` is a service that consumed one event of a subject before another."""

    service: str
    earlier: str
    later: str

    def __str__(self) -> str:
        return f"{self.service}: {self.earlier} before {self.later}"


Seen = Counter[Pair]
"""The number of subjects whose events were consumed in this order."""


def all_pairs(participants: Sequence[Participant]) -> list[Pair]:
    """Return each pair of types that a service consumes with one kind of subject, both ways."""
    subject_of = {
        event.type: next(name for name in SUBJECTS if name in {each.name for each in fields(event)})
        for participant in participants
        for event in participant.publishes
    }
    return [
        Pair(participant.name, earlier, later)
        for participant in participants
        for earlier, later in permutations([each.event_type for each in participant.reacts_to], 2)
        if subject_of[earlier] == subject_of[later]
    ]


def pairs_in(world: World) -> Iterator[Pair]:
    """Yield the pairs that the services of this world have consumed, once for each subject."""
    events = {
        row.id: (row.subject, row.type)
        for service in world.services
        for row in world.archive(service)
    }
    for service in world.services:
        consumed: Mapping[str, list[str]] = defaultdict(list)
        for _, event_id in world.rows(service, "handled"):
            subject, event_type = events[event_id]
            consumed[subject].append(event_type)
        for types in consumed.values():
            found = {Pair(service, *each) for each in combinations(types, 2)}
            yield from (each for each in found if each.earlier != each.later)
