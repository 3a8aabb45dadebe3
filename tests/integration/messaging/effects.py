"""Reads what a test checks at its end: the sample's rows, the inbox, the metrics."""

from collections.abc import Awaitable, Callable
from typing import Any, TypeAlias

from prometheus_client import REGISTRY
from sqlalchemy import func, select
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.messaging.inbox.subscriber import Subscriber
from tests.fixtures.polling import eventually
from tests.integration.messaging.sample import QUEUE, RESERVATIONS, TABLES, CreditUnitOfWork

Subscribe: TypeAlias = Callable[..., Awaitable[Subscriber[CreditUnitOfWork]]]


async def reserved(engine: AsyncEngine) -> list[int]:
    """Return the totals of all reservations, in the order they were written."""
    async with engine.connect() as connection:
        rows = await connection.execute(
            select(RESERVATIONS.c.total_cents).order_by(RESERVATIONS.c.id)
        )
        return list(rows.scalars())


async def until_reserved(engine: AsyncEngine, count: int, timeout: float = 30.0) -> list[int]:  # noqa: ASYNC109
    async def enough() -> list[int]:
        found = await reserved(engine)
        assert len(found) >= count, f"{len(found)} of {count}"
        return found

    return await eventually(enough, timeout)


async def inbox_rows(engine: AsyncEngine) -> int:
    async with engine.connect() as connection:
        rows = await connection.execute(select(func.count()).select_from(TABLES.inbox))
        return int(rows.scalar_one())


async def outbox_bodies(engine: AsyncEngine) -> list[bytes]:
    async with engine.connect() as connection:
        rows = await connection.execute(select(TABLES.outbox.c.body).order_by(TABLES.outbox.c.seq))
        return list(rows.scalars())


def counted(name: str, **labels: Any) -> float:
    """Return the value of one of the subscriber's metrics for the sample's queue."""
    return REGISTRY.get_sample_value(name, {"queue": QUEUE, **labels}) or 0.0
