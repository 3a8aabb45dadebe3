"""What the gateway may answer, and how long to wait before asking again."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Approved:
    """The money moved. `reference` is the gateway's own name for it."""

    reference: str


@dataclass(frozen=True)
class Declined:
    """The money did not move, and will not under this key unless it was a refund."""

    reason: str


@dataclass(frozen=True)
class Unanswered:
    """Nobody knows whether the money moved: ask again with the same key."""

    reason: str = "the gateway did not answer"


Answer = Approved | Declined | Unanswered


@dataclass(frozen=True)
class RetryPolicy:
    """`refund_tries` failing calls make a refund one that needs a person, `silent_tries` calls
    without an answer make a charge one. A card declined `card_tries` times ends the payment.
    """

    first: timedelta
    longest: timedelta
    refund_tries: int
    silent_tries: int = 5
    card_tries: int = 1

    def delay(self, attempts: int) -> timedelta:
        """How long to wait after the attempt of this number: doubles, up to `longest`."""
        return min(self.longest, self.first * (1 << min(attempts - 1, 30)))
