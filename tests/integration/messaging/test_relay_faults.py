"""No event is lost when broker, database or relay fails, and the relay goes on by itself."""

import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from libs.messaging.relay.archive import archived
from libs.messaging.relay.claims import Limits
from libs.messaging.relay.relay import Relay
from libs.messaging.schema.inbox_window import InboxWindow
from tests.fixtures.polling import eventually
from tests.fixtures.proxy import proxy
from tests.integration.messaging.relaying import QUICK, SERVICE, Outlet, outlet, per_subject


@pytest.fixture
async def shop(database: str, vhost: str) -> AsyncIterator[Outlet]:
    async with outlet(database, vhost) as made:
        yield made


async def test_rows_wait_for_a_broker_that_is_away_and_flow_when_it_is_back(shop: Outlet) -> None:
    async with proxy(shop.broker) as (line, through), shop.relay(broker=through) as relay:
        await shop.write("before", 5)
        await shop.drained()
        await line.stop()
        await shop.write("during", 5)

        async def says_so() -> bool:
            return any(problem.startswith("broker:") for problem in relay.problems)

        await eventually(says_so)
        assert await shop.count("attempts = 0") == 5
        idle = await shop.db.fetchval(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND state LIKE 'idle in transaction%'"
        )
        assert idle == 0, "no transaction stays open while the broker is away"
        await line.heal()
        await shop.drained()

        async def ready() -> bool:
            return relay.ready

        await eventually(ready)
    arrived = per_subject([body for _, body in await shop.received()])
    assert arrived == {"before": [1, 2, 3, 4, 5], "during": [1, 2, 3, 4, 5]}


async def test_a_broker_that_goes_silent_in_the_middle_of_a_batch_costs_no_row(
    shop: Outlet,
) -> None:
    settings = replace(QUICK, publish_timeout=0.5)
    async with (
        proxy(shop.broker) as (line, through),
        shop.relay(broker=through, settings=settings) as relay,
    ):

        async def ready() -> bool:
            return relay.ready

        await eventually(ready)
        line.silence()
        for n in range(50):
            await shop.write(f"order-{n}", 2)
        await eventually(lambda: shop.count("attempts > 0"))
        await line.stop()
        await line.heal()
        await shop.drained()
    arrived = per_subject([body for _, body in await shop.received()])
    assert {subject: sorted(set(seen)) for subject, seen in arrived.items()} == {
        f"order-{n}": [1, 2] for n in range(50)
    }


async def test_the_relay_goes_on_after_the_database_ended_its_connections(shop: Outlet) -> None:
    async with shop.relay() as relay:
        for turn in range(3):
            await shop.write("order", 5, first=5 * turn + 1)
            await shop.db.execute(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE datname = current_database() AND application_name = 'shop relay'"
            )
        await shop.drained()

        async def ready() -> bool:
            return relay.ready

        await eventually(ready)
    bodies = list(dict.fromkeys(body for _, body in await shop.received()))
    assert bodies == [f"order {n}" for n in range(1, 16)]


async def test_the_relay_starts_while_the_database_is_away_and_works_once_it_is_back(
    shop: Outlet,
) -> None:
    await shop.write("order", 3)
    async with proxy(shop.dsn) as (line, through):
        await line.stop()
        async with shop.relay(dsn=through) as relay:

            async def says_so() -> bool:
                return any(problem.startswith("database:") for problem in relay.problems)

            await eventually(says_so)
            await line.heal()
            await shop.drained()


async def test_stop_sends_what_is_due_and_lets_go_of_everything(shop: Outlet) -> None:
    for n in range(300):
        await shop.write(f"order-{n % 100}", first=n // 100 + 1)
    one_each = replace(QUICK, limits=Limits(of_subject=1), flush=10)
    async with shop.relay(settings=one_each):
        pass  # the relay stops at once, while the rows of three claims wait
    assert await shop.count() == 0
    assert await shop.arrived() == 300
    left = await shop.db.fetchval(
        "SELECT count(*) FROM pg_stat_activity"
        " WHERE datname = current_database() AND application_name = 'shop relay'"
    )
    assert left == 0


async def test_stop_does_not_wait_for_a_broker_that_is_away(shop: Outlet) -> None:
    await shop.write("order")
    started = time.monotonic()
    async with proxy(shop.broker) as (line, through):
        await line.stop()
        async with shop.relay(broker=through):
            pass
    assert time.monotonic() - started < 4
    assert await shop.count() == 1


async def test_an_idle_relay_stops_at_once(shop: Outlet) -> None:
    async with shop.relay(settings=replace(QUICK, poll=30, sweep=30, flush=30)) as relay:

        async def ready() -> bool:
            return relay.ready

        await eventually(ready)
        started = time.monotonic()
        await relay.stop()
        assert time.monotonic() - started < 2


async def test_a_relay_that_never_started_can_be_stopped(shop: Outlet) -> None:
    relay = Relay(SERVICE, database_dsn=shop.dsn, rabbitmq_url=shop.broker, window=InboxWindow())
    await relay.stop()


async def test_delivered_rows_are_kept_in_the_archive_when_asked(shop: Outlet) -> None:
    await shop.write("order", 3)
    since = datetime.now(UTC) - timedelta(hours=1)
    async with shop.relay(retention=timedelta(days=3)):
        await shop.drained()
    reader = await asyncpg.connect(shop.dsn)
    kept = [event async for event in archived(reader, ["sold.v1"], since)]
    assert [event.body for event in kept] == [b"order 1", b"order 2", b"order 3"]
    assert [event async for event in archived(reader, ["other.v1"], since)] == []
    await reader.close()
    assert await shop.db.fetchval("SELECT count(*) FROM outbox_archive_default") == 0
