"""The history of a purchase holds the events that orders has published or consumed about it."""

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Fact:
    """A fact is one event of a purchase. `sequence` counts within the service that published it."""

    type: str
    service: str
    sequence: int
    time: datetime

    def repeats(self, other: "Fact") -> bool:
        """Return whether both are the same event of the same service."""
        return (self.service, self.sequence, self.type) == (
            other.service,
            other.sequence,
            other.type,
        )
