"""While a memory alarm of the broker blocks publishers, rows wait and consumers go on; afterwards
all rows are published.
"""

import asyncio
from collections.abc import AsyncIterator

import aio_pika
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.messaging import topology
from libs.messaging.relay.relay import Relay
from libs.messaging.schema.inbox_window import InboxWindow
from tests.fixtures.own_rabbitmq import OwnRabbitMQ, own_rabbitmq
from tests.fixtures.polling import eventually
from tests.integration.messaging import sample
from tests.integration.messaging.effects import Subscribe, outbox_bodies, until_reserved
from tests.integration.messaging.relaying import QUICK
from tests.integration.messaging.wire import send

WATERMARK = "set_vm_memory_high_watermark"
MESSAGES = 50


@pytest.fixture
async def rabbitmq() -> AsyncIterator[OwnRabbitMQ]:
    with own_rabbitmq() as server:
        await topology.apply(server.url, topology.topology_of([sample.shop(), sample.credit()]))
        yield server


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(300)  # each rabbitmqctl starts an Erlang node
async def test_rows_wait_out_a_memory_alarm_while_consumers_go_on(
    rabbitmq: OwnRabbitMQ, engine: AsyncEngine, database: str, subscribe: Subscribe
) -> None:
    bodies = [sample.on_the_wire(sample.order_placed(total_cents=n)) for n in range(MESSAGES)]
    relay = Relay(
        "credit",
        database_dsn=database.replace("+asyncpg", ""),
        rabbitmq_url=rabbitmq.url,
        window=InboxWindow(),
        unconsumed=[sample.CreditReserved.type],
        settings=QUICK,
    )

    async def ready() -> bool:
        return relay.ready

    async with await aio_pika.connect(rabbitmq.url) as connection:
        channel = await connection.channel()
        await (await channel.declare_queue("consumed")).bind("credit", "#")
        await send(channel, *bodies)
    await relay.start()
    try:
        await eventually(ready)
        await asyncio.to_thread(rabbitmq.control, WATERMARK, "0.000001")
        subscriber = await subscribe(url=rabbitmq.url)
        assert sorted(await until_reserved(engine, MESSAGES)) == list(range(MESSAGES))

        async def waits_for_a_while() -> bool:
            return relay.backlog.age > 2

        await eventually(waits_for_a_while)
        assert relay.problems == ("broker: the broker blocks publishers (memory or disk alarm)",)
        assert await subscriber.ready()
        assert relay.backlog.rows == MESSAGES
        assert relay.backlog.failing == 0, "no row is to blame"
        assert await transactions_open(engine) == 0
        assert len(await consumed(rabbitmq.url)) == 0
        await asyncio.to_thread(rabbitmq.control, WATERMARK, "0.4")

        async def drained() -> bool:
            return await outbox_bodies(engine) == []

        await eventually(drained)
        await eventually(ready)

        async def a_channel_for_each_claimer() -> bool:
            return await channels(rabbitmq) == QUICK.claimers  # a check has one more for a moment

        await eventually(a_channel_for_each_claimer)
    finally:
        await relay.stop()
    assert len(await consumed(rabbitmq.url)) == MESSAGES


async def transactions_open(engine: AsyncEngine) -> int:
    query = (
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
        " AND state LIKE 'idle in transaction%' AND pid <> pg_backend_pid()"
    )
    async with engine.connect() as connection:
        return int((await connection.execute(text(query))).scalar_one())


async def channels(rabbitmq: OwnRabbitMQ) -> int:
    """Return how many channels the relay has on its connection."""
    listed = await asyncio.to_thread(
        rabbitmq.control, "list_connections", "client_properties", "channels", "--silent"
    )
    (line,) = [line for line in listed.splitlines() if "credit relay" in line]
    return int(line.rsplit("\t", 1)[1])


async def consumed(url: str) -> set[str | None]:
    """Remove what has been published so far from the queue, and return the ids."""
    ids = set()
    async with asyncio.timeout(20), await aio_pika.connect(url) as connection:
        queue = await (await connection.channel()).get_queue("consumed")
        while message := await queue.get(no_ack=True, fail=False):
            ids.add(message.message_id)
    return ids
