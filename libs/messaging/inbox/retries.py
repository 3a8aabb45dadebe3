"""Some messages are tried again later, each by itself, while the others go on."""

import math
import time
from collections import Counter

from libs.messaging.inbox.delivery import Delivery

OWN_ATTEMPTS = 4
"""A reaction that fails for its own reasons runs this often before its message is given up."""

OWN_FIRST_SECONDS = 0.1
"""The first of these failures has this delay; it doubles with each."""

BLOCKED_DELAYS = (0.2, 0.5, 2.0, 5.0, 15.0, 40.0, 55.0)
"""These seconds lie between the attempts of a message that the database blocks (a locked row, a
statement over its time) while it serves others: eight attempts over about two minutes.
"""

SHARED_CAUSE_SECONDS = 5.0
"""A blocked message has this delay while no other message passes either. Then the cause is
something that they share, for example a locked table, and the attempt does not count.
"""


class DelayedRetries:
    """These deliveries wait for their next attempt, each with the reason."""

    def __init__(self) -> None:
        self._entries: list[tuple[float, Delivery, str]] = []

    def add(self, delivery: Delivery, *, seconds: float, reason: str) -> None:
        self._entries.append((time.monotonic() + seconds, delivery, reason))

    def take_due(self) -> Delivery | None:
        """Remove and return the delivery that has been due for longest; None when none is due."""
        first = min(self._entries, key=_due, default=None)
        if first is None or first[0] > time.monotonic():
            return None
        self._entries.remove(first)
        return first[1]

    def seconds_until_due(self) -> float:
        """Return the seconds until the next attempt; infinity when nothing waits."""
        return max(0.0, min(map(_due, self._entries), default=math.inf) - time.monotonic())

    def any_blocked(self) -> bool:
        return any(delivery.blocked_since is not None for _, delivery, _ in self._entries)

    def reasons(self) -> Counter[str]:
        """Return how many deliveries wait, by reason."""
        return Counter(reason for _, _, reason in self._entries)

    def clear(self) -> None:
        self._entries.clear()


def _due(entry: tuple[float, Delivery, str]) -> float:
    return entry[0]
