"""The gateway's possible answers, and the wait before the next call."""

from dataclasses import dataclass
from datetime import timedelta


@dataclass(frozen=True)
class Approved:
    """The money moved. `reference` is the gateway's own id for it."""

    reference: str


@dataclass(frozen=True)
class Declined:
    """The money did not move. Under this key only a refund may still succeed."""

    reason: str


@dataclass(frozen=True)
class Unanswered:
    """Nobody knows whether the money moved: call again with the same key."""

    reason: str = "the gateway did not answer"


Answer = Approved | Declined | Unanswered


@dataclass(frozen=True)
class RetryPolicy:
    """`refund_tries` failed calls make a refund one that needs a person; `silent_tries` calls
    without an answer do the same for a charge. A card declined `card_tries` times ends the payment.
    """

    first: timedelta
    longest: timedelta
    refund_tries: int
    silent_tries: int = 5
    card_tries: int = 1

    def delay(self, attempts: int) -> timedelta:
        """The wait after the attempt of this number. It doubles each time, up to `longest`."""
        return min(self.longest, self.first * (1 << min(attempts - 1, 30)))
