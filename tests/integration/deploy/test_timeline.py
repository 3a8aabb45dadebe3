"""The timeline of a purchase is read in order from the archives and outboxes of
several services.
"""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import asyncpg
import pytest

from deploy.demo.timeline import events_of
from tests.fixtures.servers import PostgresServer
from tests.fixtures.services import migrated
from tests.integration.deploy.spoilt import database

START = datetime(2026, 3, 1, 12, tzinfo=UTC)
ARCHIVED = """
    INSERT INTO outbox_archive (seq, id, subject, type, body, created_at)
    VALUES ($1, gen_random_uuid(), $2, '', $3, now())"""
WAITING = """
    INSERT INTO outbox (seq, id, subject, type, body) OVERRIDING SYSTEM VALUE
    VALUES ($1, gen_random_uuid(), $2, '', $3)"""


@pytest.fixture
async def databases(postgres_server: PostgresServer) -> AsyncIterator[dict[str, str]]:
    async with AsyncExitStack() as stack:
        urls = {}
        for service in ("orders", "payments"):
            url = await stack.enter_async_context(database(postgres_server))
            await migrated(service, url.replace("postgresql", "postgresql+asyncpg", 1))
            urls[service] = url
        yield urls


async def write(
    url: str, statement: str, seq: int, order_id: UUID, event: str, milliseconds: int
) -> None:
    source = event.split(".")[0]
    time = (START + timedelta(milliseconds=milliseconds)).isoformat()
    envelope = {"type": event, "source": source, "time": time, "data": {"reason": event[-1]}}
    connection = await asyncpg.connect(url)
    try:
        await connection.execute(statement, seq, str(order_id), json.dumps(envelope).encode())
    finally:
        await connection.close()


async def test_events_of_a_purchase_come_in_the_order_they_happened_from_wherever_they_stand(
    databases: dict[str, str],
) -> None:
    orders, payments = databases["orders"], databases["payments"]
    mine, another = uuid4(), uuid4()
    await write(orders, ARCHIVED, 9, mine, "order.d", 20)
    await write(orders, ARCHIVED, 8, mine, "order.c", 20)
    await write(orders, ARCHIVED, 1, mine, "order.a", 0)
    await write(orders, WAITING, 10, mine, "order.e", 20)
    await write(payments, ARCHIVED, 1, mine, "payment.b", 10)
    await write(payments, WAITING, 2, mine, "payment.f", 30)
    await write(payments, ARCHIVED, 3, another, "payment.x", 5)

    happened = await events_of(databases, [mine])

    assert [(event.service, event.event_type, event.reason) for event in happened] == [
        ("order", "order.a", "a"),
        ("payment", "payment.b", "b"),
        ("order", "order.c", "c"),
        ("order", "order.d", "d"),
        ("order", "order.e", "e"),
        ("payment", "payment.f", "f"),
    ]
    assert happened[-1].time - happened[0].time == timedelta(milliseconds=30)
