"""The subscriber has these metrics, by queue."""

from typing import Literal, get_args

from prometheus_client import Counter, Gauge, Histogram

Why = Literal["unreadable", "failed", "tampered"]
"""A message ends in the dead letters for one of these reasons."""

HANDLED = Counter("messaging_handled", "Messages whose reaction committed", ["queue"])
DUPLICATES = Counter("messaging_duplicates", "Messages the inbox had seen before", ["queue"])
RETRIES = Counter("messaging_retries", "Reactions that failed and will run again", ["queue"])
HELD = Gauge(
    "messaging_held", "1 while a queue waits for the database or the broker to come back", ["queue"]
)
"""Use `Held`: the consumer and the dead letters of a queue may wait at the same time."""
REFUSED = Counter("messaging_dead_letters", "Messages sent to the dead letters", ["queue", "why"])
DURATION = Histogram(
    "messaging_batch_seconds",
    "Time of one transaction, with its reactions and its commit",
    ["queue"],
    buckets=(0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1, 5, 30),
)
LAG = Histogram(
    "messaging_lag_seconds",
    "From an event's time to the commit of its reaction",
    ["queue"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1, 5, 30, 300, 3600),
)


def start_at_zero(queue: str) -> None:
    """Make the counters of a queue before anything is counted: a rate over a counter that begins
    with its first event does not see that event.
    """
    for counter in (HANDLED, DUPLICATES, RETRIES):
        counter.labels(queue)
    for why in get_args(Why):
        REFUSED.labels(queue, why)


class Held:
    """A `Held` is one holder's share in the HELD gauge of a queue."""

    def __init__(self, queue: str) -> None:
        self._gauge = HELD.labels(queue)
        self._held = False

    def set(self, *, held: bool) -> None:
        if held != self._held:
            self._gauge.inc(1 if held else -1)
            self._held = held
