"""The bank's possible answers, and the wait before the next call."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Paid:
    """The money moved. `reference` is the bank's own id for it."""

    reference: str


@dataclass(frozen=True)
class Refused:
    """The money did not move. `for_good`: another call is useless until a person has acted."""

    reason: str
    for_good: bool = False


@dataclass(frozen=True)
class Unanswered:
    """Nobody knows whether the money moved: call again with the same key."""

    reason: str


Answer = Paid | Refused | Unanswered


@dataclass(frozen=True)
class RetryPolicy:
    """A payout has failed after `tries` calls when the last one was refused. It needs a person
    after `silent_tries` calls when the last one got no answer.
    """

    first: timedelta
    longest: timedelta
    tries: int
    silent_tries: int = 5

    def delay(self, attempts: int) -> timedelta:
        """The wait after the attempt of this number. It doubles each time, up to `longest`."""
        return min(self.longest, self.first * (1 << min(attempts - 1, 30)))
