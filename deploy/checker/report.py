"""The checker's result has every rule, with a limited list of violations and their number."""

from collections.abc import Sequence
from dataclasses import dataclass, field

LISTED = 20
"""At most this many violations of one rule are written out. The others are counted."""


@dataclass
class Found:
    """A `Found` collects sentences and keeps the first of them."""

    count: int = 0
    sentences: list[str] = field(default_factory=list)

    def add(self, sentence: str) -> None:
        self.add_some(1, [sentence])

    def add_some(self, count: int, sentences: Sequence[str]) -> None:
        """Add `count` violations, some of them written out."""
        room = LISTED - len(self.sentences)
        self.count += count
        self.sentences += sentences[:room]

    def as_notes(self) -> list[str]:
        more = self.count - len(self.sentences)
        return [*self.sentences, *([f"and {more:,} more of these"] if more else [])]


@dataclass(frozen=True)
class Invariant:
    """`broken` holds one sentence for each of the first violations, with the ids it is about.
    `count` is the number of all.
    """

    rule: str
    broken: Sequence[str]
    count: int


@dataclass(frozen=True)
class Report:
    """`notes` are facts that are allowed but must not be hidden: failed refunds and payouts, dead
    letters, and what could not be checked.
    """

    purchases: int
    passed_over: int
    invariants: Sequence[Invariant]
    notes: Sequence[str] = field(default_factory=tuple)

    @property
    def hold(self) -> bool:
        return not any(invariant.count for invariant in self.invariants)
