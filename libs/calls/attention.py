"""This metric counts the rows that need attention, for an alert."""

from prometheus_client import Gauge
from sqlalchemy import Table, func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.runtime.loops import Loop

EVERY_SECONDS = 10.0

NEEDS_ATTENTION = Gauge(
    "needs_attention", "Rows that wait for a person, counted by each worker", ["service"]
)


def attention_count(service: str, engine: AsyncEngine, table: Table) -> Loop:
    """Return the loop that counts the rows of `table` whose `needs_attention` is true. Every worker
    counts all of them: take the greatest of the processes, not the sum.
    """
    waiting = select(func.count()).where(table.c.needs_attention)

    async def count() -> bool:
        async with engine.connect() as connection:
            found = await connection.scalar(waiting)
        NEEDS_ATTENTION.labels(service).set(found or 0)
        return False

    return Loop("attention", EVERY_SECONDS, count)
