"""Reports the orders in which a story's events were consumed, as text and as data."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rich.console import Console
from rich.table import Table

from tests.simulation.impossible import why_never
from tests.simulation.pairs import Pair, Seen, all_pairs
from tests.simulation.world import World


@dataclass(frozen=True)
class OrdersSeen:
    """`missing` are pairs that can occur and never did. `contradicted` are pairs that occurred
    though `impossible` lists them.
    """

    seen: Seen
    pairs: Sequence[Pair]
    impossible: Mapping[Pair, str]

    @classmethod
    def of(cls, seen: Seen) -> "OrdersSeen":
        pairs = all_pairs([each.participant for each in World().services.values()])
        reasons = {pair: why_never(pair) for pair in pairs}
        return cls(seen, pairs, {pair: why for pair, why in reasons.items() if why})

    @property
    def missing(self) -> list[Pair]:
        can_occur = (each for each in self.pairs if each not in self.impossible)
        return [each for each in can_occur if each not in self.seen]

    @property
    def contradicted(self) -> list[Pair]:
        return [each for each in self.impossible if each in self.seen]

    def data(self) -> list[dict[str, Any]]:
        """Return every pair with the number of subjects that showed it, and why it cannot occur."""
        return [
            {
                "service": pair.service,
                "earlier": pair.earlier,
                "later": pair.later,
                "seen": self.seen[pair],
                "impossible": self.impossible.get(pair),
            }
            for pair in self.pairs
        ]

    def show(self, console: Console) -> None:
        columns = ("service", "can occur", "seen", "never seen", "cannot occur", "but did")
        table = Table(
            *columns, title="pairs of events of one subject, each order counted by itself"
        )
        known, missing, impossible, contradicted = (
            Counter(pair.service for pair in pairs)
            for pairs in (self.pairs, self.missing, self.impossible, self.contradicted)
        )
        for service, number in known.items():
            can, never = number - impossible[service], missing[service]
            cells = (can, can - never, never, impossible[service], contradicted[service])
            table.add_row(service, *map(str, cells))
        console.print(table)
        for pair in self.missing:
            console.print(f"never seen: {pair}", highlight=False)
        for pair in self.contradicted:
            why = self.impossible[pair]
            console.print(f"listed as impossible, but seen: {pair} ({why})", highlight=False)
