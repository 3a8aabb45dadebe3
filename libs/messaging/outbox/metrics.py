"""This metric counts the events that a service writes to its outbox."""

from collections.abc import Iterable

from prometheus_client import Counter

WRITTEN = Counter(
    "outbox_events", "Events written to the outbox, each in its transaction", ["service", "type"]
)


def start_at_zero(service: str, types: Iterable[str]) -> None:
    """Make the counters before anything is counted: a rate then sees the first event too."""
    for each in types:
        WRITTEN.labels(service, each)
