"""How many events a service writes to its outbox."""

from collections.abc import Iterable

from prometheus_client import Counter

WRITTEN = Counter(
    "outbox_events", "Events written to the outbox, each in its transaction", ["service", "type"]
)


def start_at_zero(service: str, types: Iterable[str]) -> None:
    """The counters exist before anything is counted: a rate sees the first event too."""
    for each in types:
        WRITTEN.labels(service, each)
