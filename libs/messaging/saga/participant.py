"""A participant is one service as the choreography sees it: what it publishes and reacts to."""

from dataclasses import dataclass
from typing import Any

from libs.kernel.events import DomainEvent
from libs.messaging.saga.reactions import Reaction, Reactions


@dataclass(frozen=True)
class Participant:
    """`unconsumed` are the types that need no reaction: only they go out without `mandatory`.

    Raises ValueError where one of these is not published.
    """

    name: str
    publishes: tuple[type[DomainEvent], ...]
    reactions: Reactions[Any]
    unconsumed: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        for event_type in sorted(self.unconsumed - {event.type for event in self.publishes}):
            raise ValueError(
                f"{event_type} is declared unconsumed, but {self.name} does not publish it"
            )

    @property
    def reacts_to(self) -> tuple[Reaction[Any], ...]:
        return tuple(self.reactions.by_event.values())
