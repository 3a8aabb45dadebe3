"""Prometheus reads these metrics: HTTP durations and errors by route, pool, database time."""

from collections.abc import Iterable, Iterator

from prometheus_client import (
    REGISTRY,
    CollectorRegistry,
    Counter,
    Histogram,
    generate_latest,
)
from prometheus_client.metrics_core import GaugeMetricFamily
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

HTTP_SECONDS = Histogram(
    "http_request_duration_seconds",
    "Time from the request to the end of its answer",
    ["method", "route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)

SERVER_ERRORS = Counter(
    "http_server_errors", "Requests answered with a status from 500 on", ["method", "route"]
)
"""The histogram of durations counts errors too, by status, but a counter there begins with the
first one. An alert on a rate needs a counter that begins at zero.
"""
DATABASE_SECONDS = Histogram(
    "database_round_trip_seconds",
    "Time of the smallest statement, once a second",
    buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.0),
)

_children: dict[tuple[str, str, int], Histogram] = {}


def observe_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request. `route` is the path's template, so that labels stay few."""
    key = (method, route, status)
    child = _children.get(key)
    if child is None:
        child = _children[key] = HTTP_SECONDS.labels(method, route, status)
    child.observe(seconds)
    if status >= 500:
        SERVER_ERRORS.labels(method, route).inc()


def start_at_zero(routes: Iterable[tuple[str, str]]) -> None:
    """Make the counters of these methods and routes before anything is counted."""
    for method, route in routes:
        SERVER_ERRORS.labels(method, route)


class PoolUse:
    """This gauge shows the connections of this process's pool, in use and idle."""

    def __init__(self, engine: AsyncEngine) -> None:
        self._pool = engine.pool

    def collect(self) -> Iterator[GaugeMetricFamily]:
        gauge = GaugeMetricFamily(
            "db_pool_connections", "Connections of the pool by state", labels=["state"]
        )
        if isinstance(self._pool, QueuePool):
            gauge.add_metric(["in_use"], self._pool.checkedout())
            gauge.add_metric(["idle"], self._pool.checkedin())
        yield gauge


def exposition(own: CollectorRegistry) -> bytes:
    """Return the process's metrics and those of one application, in Prometheus' text format."""
    return generate_latest(REGISTRY) + generate_latest(own)
