"""What the bank may answer, and how long to wait before asking again."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Paid:
    """The money moved. `reference` is the bank's own name for it."""

    reference: str


@dataclass(frozen=True)
class Refused:
    """The money did not move. `for_good`: asking again is of no use until a person has acted."""

    reason: str
    for_good: bool = False


@dataclass(frozen=True)
class Unanswered:
    """Nobody knows whether the money moved: ask again with the same key."""

    reason: str


Answer = Paid | Refused | Unanswered


@dataclass(frozen=True)
class RetryPolicy:
    """A payout has failed after `tries` calls the last of which was refused, and needs a person
    after `silent_tries` calls the last of which got no answer.
    """

    first: timedelta
    longest: timedelta
    tries: int
    silent_tries: int = 5

    def delay(self, attempts: int) -> timedelta:
        """How long to wait after the attempt of this number: doubles, up to `longest`."""
        return min(self.longest, self.first * (1 << min(attempts - 1, 30)))
