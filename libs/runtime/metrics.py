"""What Prometheus reads: HTTP durations by route, the pool's use, the outbox's backlog."""

from collections.abc import Iterator

from prometheus_client import REGISTRY, CollectorRegistry, Histogram, generate_latest
from prometheus_client.metrics_core import GaugeMetricFamily
from sqlalchemy.ext.asyncio import AsyncEngine
from sqlalchemy.pool import QueuePool

HTTP_SECONDS = Histogram(
    "http_request_duration_seconds",
    "Time from the request to the end of its answer",
    ["method", "route", "status"],
    buckets=(0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0),
)

_children: dict[tuple[str, str, int], Histogram] = {}


def observe_request(method: str, route: str, status: int, seconds: float) -> None:
    """Count one answered request. `route` is the path's template, so that labels stay few."""
    key = (method, route, status)
    child = _children.get(key)
    if child is None:
        child = _children[key] = HTTP_SECONDS.labels(method, route, status)
    child.observe(seconds)


class PoolUse:
    """Connections of this process's pool, in use and idle."""

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
    """The process's metrics and those of one application, in Prometheus' text format."""
    return generate_latest(REGISTRY) + generate_latest(own)
