"""A relay has these metrics."""

from prometheus_client import Counter, Gauge, Histogram

DELIVERED, FAILED = "delivered", "failed"

PUBLISHED = Counter("outbox_published", "Outbox rows by outcome", ["service", "outcome"])
WAITING = Gauge("outbox_rows", "Rows in the outbox, counted up to 100,000", ["service"])
OLDEST = Gauge("outbox_oldest_seconds", "Age of the oldest row in the outbox", ["service"])
FAILING = Gauge("outbox_failing_rows", "Rows that were tried in vain", ["service"])
GIVEN_UP = Gauge("outbox_given_up_rows", "Rows that a person has to decide about", ["service"])
BATCH_SECONDS = Histogram("outbox_batch_seconds", "From claim to commit", ["service"])


def start_at_zero(service: str) -> None:
    """Make the counters before anything is counted: a rate then sees the first event too."""
    for outcome in (DELIVERED, FAILED):
        PUBLISHED.labels(service, outcome)
    BATCH_SECONDS.labels(service)
