"""This histogram measures how long purchases take from the request to the outcome."""

from prometheus_client import Histogram

from services.orders.domain.events import OrderCancelled, OrderCompleted, OrderFailed
from services.orders.domain.purchase import Purchase

OUTCOMES = {
    OrderCompleted.type: "completed",
    OrderFailed.type: "failed",
    OrderCancelled.type: "cancelled",
}
"""Each of these types of event tells an outcome."""

SECONDS = Histogram(
    "orders_purchase_seconds",
    "From a purchase's request to its outcome",
    ["outcome"],
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600, 86_400),
)
for outcome in OUTCOMES.values():
    SECONDS.labels(outcome)


def observe_outcome(event_type: str, purchase: Purchase) -> None:
    """Count the purchase if an event of this type tells its outcome and its beginning is known."""
    started = purchase.requested_at
    ended = [each.time for each in purchase.history if each.type == event_type]
    if event_type in OUTCOMES and started is not None and ended:
        SECONDS.labels(OUTCOMES[event_type]).observe((ended[-1] - started).total_seconds())
