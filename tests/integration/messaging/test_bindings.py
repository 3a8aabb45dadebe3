"""A binding that is deleted under load is reported, and events confirmed meanwhile
are published again.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import asyncpg
import pytest
from aio_pika.abc import AbstractChannel
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.kernel.clock import utc_now
from libs.messaging.dead_letters.replay import replay
from libs.messaging.outbox.outbox import Outbox
from libs.messaging.relay.bindings import BindingWatch
from libs.messaging.relay.relay import Relay
from libs.messaging.schema.inbox_window import INBOX_WINDOW
from tests.fixtures.polling import eventually
from tests.fixtures.servers import RabbitMQServer
from tests.integration.messaging import sample
from tests.integration.messaging.relaying import QUICK
from tests.integration.messaging.wire import waiting

EVENT = "order.placed.v1"


@asynccontextmanager
async def watching(management_url: str, rabbitmq_url: str) -> AsyncIterator[BindingWatch]:
    watch = BindingWatch(
        "shop",
        management_url=management_url,
        rabbitmq_url=rabbitmq_url,
        expected_queues={EVENT: [sample.QUEUE], "order.lost.v1": []},
        every=0.1,
    )
    await watch.start()
    try:
        yield watch
    finally:
        await watch.stop()


async def test_a_deleted_binding_is_reported_and_what_was_confirmed_meanwhile_comes_again(
    engine: AsyncEngine,
    database: str,
    broker: str,
    channel: AbstractChannel,
    rabbitmq_server: RabbitMQServer,
    caplog: pytest.LogCaptureFixture,
) -> None:
    other = await channel.declare_queue("other.on.order.placed.v1", auto_delete=True)
    await other.bind("shop", EVENT)  # then the broker can route the event and confirms it
    queue = await channel.get_queue(sample.QUEUE)
    dsn = database.replace("+asyncpg", "")
    relay = Relay(
        "shop",
        database_dsn=dsn,
        rabbitmq_url=broker,
        window=INBOX_WINDOW,
        settings=QUICK,
        retention=timedelta(days=1),
    )
    async with watching(rabbitmq_server.management_url, broker) as watch:
        await relay.start()
        try:
            assert await watch.ready()
            await queue.unbind("shop", EVENT)

            async def told() -> bool:
                return not await watch.ready()

            await eventually(told)
            assert watch.missing == [f"queue {sample.QUEUE} is not bound to shop by {EVENT}"]
            async with engine.begin() as connection:
                await Outbox("shop", sample.TABLES).add(connection, sample.order_placed())

            async def confirmed() -> bool:
                return await waiting(channel, "other.on.order.placed.v1") == 1

            await eventually(confirmed)
            assert await waiting(channel) == 0
            await queue.bind("shop", EVENT)
            await eventually(watch.ready)
        finally:
            await relay.stop()
    assert f"{sample.QUEUE} is not bound to shop by {EVENT}: run topology apply" in caplog.text
    archive = await asyncpg.connect(dsn)
    try:
        assert await replay(broker, archive, sample.QUEUE, utc_now() - timedelta(hours=1)) == 1
    finally:
        await archive.close()
    assert await waiting(channel) == 1


async def test_a_management_api_that_is_away_makes_nothing_unready(broker: str) -> None:
    async with watching("http://127.0.0.1:1", broker) as watch:

        async def failed() -> bool:
            return bool(watch._supervisor.problems)

        await eventually(failed)
        assert await watch.ready()


async def test_a_proxy_of_the_environment_is_not_asked(
    broker: str, rabbitmq_server: RabbitMQServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    watch = BindingWatch(
        "shop",
        management_url=rabbitmq_server.management_url,
        rabbitmq_url=broker,
        expected_queues={EVENT: [sample.QUEUE]},
    )
    await watch.look()
    assert await watch.ready()
