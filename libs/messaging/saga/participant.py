"""One service as the choreography sees it: what it states and what it reacts to."""

from dataclasses import dataclass
from typing import Any

from libs.kernel.events import DomainEvent
from libs.messaging.inbox.reactions import Reaction, Reactions


@dataclass(frozen=True)
class Participant:
    """`final` are the types nobody has to react to: they alone go out without `mandatory`."""

    name: str
    publishes: tuple[type[DomainEvent], ...]
    reactions: Reactions[Any]
    final: frozenset[str] = frozenset()

    @property
    def reacts_to(self) -> tuple[Reaction[Any], ...]:
        return tuple(self.reactions.by_event.values())
