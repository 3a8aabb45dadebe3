"""What a relay counts."""

from prometheus_client import Counter, Gauge, Histogram

PUBLISHED = Counter("outbox_published", "Outbox rows by outcome", ["service", "outcome"])
WAITING = Gauge("outbox_rows", "Rows in the outbox, counted up to 100,000", ["service"])
OLDEST = Gauge("outbox_oldest_seconds", "Age of the oldest row in the outbox", ["service"])
FAILING = Gauge("outbox_failing_rows", "Rows that were tried in vain", ["service"])
BATCH_SECONDS = Histogram("outbox_batch_seconds", "From claim to commit", ["service"])
