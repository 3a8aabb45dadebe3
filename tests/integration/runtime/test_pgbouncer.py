"""Services work through PgBouncer in transaction mode, where each transaction may use
another server connection.
"""

import asyncio
import logging
from collections.abc import Iterator
from uuid import uuid4

import aio_pika
import pytest
from sqlalchemy import text

from libs.messaging import topology
from libs.messaging.inbox.subscriber import Subscriber
from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import Transactions
from libs.messaging.schema.inbox_window import InboxWindow
from libs.runtime.database import create_engine
from tests.fixtures.pgbouncer import pgbouncer_before
from tests.fixtures.polling import eventually
from tests.fixtures.services import serving
from tests.integration.messaging import sample
from tests.integration.messaging.effects import inbox_rows, until_reserved
from tests.integration.messaging.wire import dead, send
from tests.integration.runtime.notes import NotesSettings, build, create_tables


@pytest.fixture
def pooled(database: str) -> Iterator[str]:
    with pgbouncer_before(database) as url:
        yield url


async def test_requests_are_answered_once_per_key_and_their_events_go_out(
    database: str, pooled: str, vhost: str, caplog: pytest.LogCaptureFixture
) -> None:
    await create_tables(database)
    settings = NotesSettings(
        _env_file=None, database_url=pooled, rabbitmq_url=vhost, role="all", pgbouncer=True
    )
    async with await aio_pika.connect(vhost) as connection, connection.channel() as channel:
        exchange = await channel.declare_exchange("notes", "topic", durable=True)
        queue = await channel.declare_queue("consumed")
        await queue.bind(exchange, "#")
        async with serving(build(settings)) as notes:
            for turn in range(4):
                keys = {"Idempotency-Key": str(uuid4())}
                first = await notes.post("/notes", json={"text": "milk"}, headers=keys)
                others = [notes.post("/notes", json={"text": f"{turn} {n}"}) for n in range(14)]
                answers = await asyncio.gather(
                    notes.post("/notes", json={"text": "milk"}, headers=keys), *others
                )
                assert {each.status_code for each in answers} == {201}, answers
                assert answers[0].content == first.content

            async def all_consumed() -> bool:
                found = await channel.declare_queue("consumed", passive=True)
                return found.declaration_result.message_count == 4 * 15

            await eventually(all_consumed)

            async def ready() -> bool:
                answer = await notes.get("/ready")
                assert answer.status_code == 200, answer.text
                return True

            await eventually(ready)
    trouble = [each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING]
    assert not trouble, "a relay that is refused goes on with another connection"


async def test_settings_of_a_session_hold_in_each_transaction(pooled: str) -> None:
    engine = create_engine(
        NotesSettings(_env_file=None, database_url=pooled, role="api", pgbouncer=True)
    )
    async with engine.connect() as one, engine.connect() as other:
        for connection in (one, other):
            assert await connection.scalar(text("SHOW lock_timeout")) == "2s"
            assert await connection.scalar(text("SHOW jit")) == "off"
    await engine.dispose()


async def test_a_subscriber_reacts_to_each_event_once(
    database: str, pooled: str, vhost: str
) -> None:
    settings = NotesSettings(_env_file=None, database_url=pooled, role="api", pgbouncer=True)
    engine = create_engine(settings)
    await sample.create_tables(engine)
    await topology.apply(vhost, topology.topology_of([sample.shop(), sample.credit()]))
    transactions = Transactions(engine, Outbox("credit", sample.TABLES), sample.CreditUnitOfWork)
    subscribers = [
        Subscriber(sample.credit(), transactions, sample.TABLES, vhost, window=InboxWindow())
        for _ in range(2)
    ]
    for subscriber in subscribers:
        await subscriber.start()
    try:
        async with await aio_pika.connect(vhost) as connection:
            channel = await connection.channel()
            bodies = [sample.on_the_wire(sample.order_placed(total_cents=n)) for n in range(150)]
            await asyncio.gather(send(channel, *bodies), send(channel, *bodies))
            assert sorted(await until_reserved(engine, 150)) == list(range(150))
            assert await dead(channel) is None
            assert await inbox_rows(engine) == 150
    finally:
        for subscriber in subscribers:
            await subscriber.stop()
        await engine.dispose()
