"""Joins an outbox and an exchange with one queue by relays."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import aiormq
import asyncpg
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from libs.messaging import database
from libs.messaging.relay.relay import Relay, RelaySettings
from libs.messaging.schema import migrations
from libs.messaging.schema.inbox_window import InboxWindow
from tests.fixtures.polling import eventually

SERVICE = "shop"
QUEUE = "peer.on.all"

QUICK = RelaySettings(poll=0.1, sweep=0.1, rarely=0.3, backoff=0.1, backoff_most=0.3, flush=2.0)
"""These relays retry and poll sooner than in production."""

WRITE = """
INSERT INTO outbox (id, subject, type, body)
SELECT gen_random_uuid(), $1, $2, convert_to($1 || ' ' || n, 'UTF8')
FROM generate_series($3::int, $4::int) AS n ORDER BY n
"""


async def install(url: str) -> None:
    def run(connection: Connection) -> None:
        operations = Operations(MigrationContext.configure(connection))
        migrations.install(operations)
        migrations.upgrade(operations, source=SERVICE)

    engine = create_async_engine(url)
    async with engine.begin() as connection:
        await connection.run_sync(run)
    await engine.dispose()


class Outlet:
    """An `Outlet` writes rows, reads them, and reads what arrived, around a test's relays."""

    def __init__(self, dsn: str, broker: str, db: database.Connection) -> None:
        self.dsn = dsn
        self.broker = broker
        self.db = db

    async def write(
        self, subject: str, count: int = 1, *, first: int = 1, event_type: str = "sold.v1"
    ) -> None:
        await self.db.execute(WRITE, subject, event_type, first, first + count - 1)

    async def count(self, where: str = "true") -> int:
        found: int = await self.db.fetchval(f"SELECT count(*) FROM outbox WHERE {where}")
        return found

    async def drained(self, timeout: float = 20.0) -> None:  # noqa: ASYNC109
        async def empty() -> bool:
            return await self.count() == 0

        await eventually(empty, timeout)

    @asynccontextmanager
    async def relay(
        self,
        *,
        settings: RelaySettings = QUICK,
        dsn: str | None = None,
        broker: str | None = None,
        **more: Any,
    ) -> AsyncIterator[Relay]:
        relay = Relay(
            SERVICE,
            database_dsn=dsn or self.dsn,
            rabbitmq_url=broker or self.broker,
            window=InboxWindow(),
            settings=settings,
            **more,
        )
        await relay.start()
        try:
            yield relay
        finally:
            await relay.stop()

    @asynccontextmanager
    async def channel(self) -> AsyncIterator[aiormq.abc.AbstractChannel]:
        connection = await aiormq.connect(self.broker)
        try:
            yield await connection.channel()
        finally:
            await connection.close()

    async def bind(self, routing_key: str = "#", queue: str = QUEUE, **arguments: Any) -> None:
        async with self.channel() as channel:
            arguments.setdefault("x-queue-type", "quorum")
            await channel.queue_declare(queue, durable=True, arguments=arguments)
            await channel.queue_bind(queue, SERVICE, routing_key)

    async def received(self, queue: str = QUEUE) -> list[tuple[str, str]]:
        """Remove all messages from the queue, and return (message id, body) of each, in order."""
        found: list[tuple[str, str]] = []
        async with self.channel() as channel:
            while True:
                message = await channel.basic_get(queue, no_ack=True)
                if message.header.properties.message_id is None:
                    return found
                found.append((message.header.properties.message_id, message.body.decode()))

    async def arrived(self, queue: str = QUEUE) -> int:
        async with self.channel() as channel:
            return (await channel.queue_declare(queue, passive=True)).message_count or 0


@asynccontextmanager
async def outlet(url: str, vhost: str, *, bound: bool = True) -> AsyncIterator[Outlet]:
    await install(url)
    dsn = url.replace("+asyncpg", "")
    db = await asyncpg.connect(dsn)
    try:
        made = Outlet(dsn, vhost, db)
        async with made.channel() as channel:
            await channel.exchange_declare(SERVICE, exchange_type="topic", durable=True)
        if bound:
            await made.bind()
        yield made
    finally:
        await db.close()


def per_subject(bodies: list[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for body in bodies:
        subject, _, number = body.rpartition(" ")
        found.setdefault(subject, []).append(int(number))
    return found
