"""What a claim costs when much waits that it cannot take."""

import statistics
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from libs.messaging.database import Connection, connect
from libs.messaging.outbox.wakeup import Bell
from libs.messaging.relay import sweep
from libs.messaging.relay.claims import Floor, Limits, Run, claim, settle
from libs.messaging.relay.relay import RelaySettings
from tests.fixtures.polling import eventually
from tests.integration.messaging.relaying import Outlet, outlet

CLAIM_SECONDS = 0.1
"""Without what keeps it quick it takes more than a second."""


@pytest.fixture
async def shop(database: str, vhost: str) -> AsyncIterator[Outlet]:
    async with outlet(database, vhost, bound=False) as made:
        yield made


@pytest.fixture
async def relay(shop: Outlet) -> AsyncIterator[Connection]:
    """A connection as a relay has it."""
    connection = await connect(shop.dsn, "shop relay", statement_cache=100)
    yield connection
    await connection.close()


async def _fill(shop: Outlet, subject: str, count: int) -> None:
    await shop.db.execute(
        "INSERT INTO outbox (id, subject, type, body)"
        f" SELECT gen_random_uuid(), {subject}, 'sold.v1', 'x' FROM generate_series(1, $1::int) n",
        count,
    )


async def _median_claim(relay: Connection, floor: int) -> float:
    """Seconds of a claim; the median of some, for the machine has other work."""
    took = []
    for _ in range(7):
        started = time.perf_counter()
        await claim(relay, floor, Limits())
        took.append(time.perf_counter() - started)
        await relay.execute("ROLLBACK")
    return statistics.median(took)


async def _claim_and_fail(relay: Connection, error: str) -> list[Run]:
    batch = await claim(relay, 0, Limits(heads=1))
    for run in batch.runs:
        run.error = error
    await settle(relay, batch.runs, archive=False, park_from=None)
    return batch.runs


async def test_a_claim_is_quick_with_a_hundred_thousand_rows_behind_a_failing_one(
    shop: Outlet, relay: Connection
) -> None:
    await _fill(shop, "'blocked'", 100_000)
    await shop.db.execute(
        "ANALYZE outbox"
    )  # as autovacuum does: now all rows look like one subject
    await _claim_and_fail(relay, "returned: NO_ROUTE")
    while await sweep.park_behind_failing(relay, 0) >= sweep.NEAR:
        pass
    await _fill(shop, "'free-' || n", 10)
    assert await _median_claim(relay, 0) < CLAIM_SECONDS
    batch = await claim(relay, 0, Limits())
    assert len(batch.runs) == 10
    await relay.execute("ROLLBACK")


async def test_a_claim_is_quick_over_rows_deleted_under_an_old_snapshot(
    shop: Outlet, relay: Connection
) -> None:
    dump = await asyncpg.connect(shop.dsn)
    await _fill(shop, "'order-' || n", 300_000)
    async with dump.transaction(isolation="repeatable_read", readonly=True):
        await dump.fetchval("SELECT count(*) FROM outbox")
        await shop.db.execute("DELETE FROM outbox")
        await _fill(shop, "'later-' || n", 10)
        floor = Floor()
        now = 0.0
        for now in (0.0, 1.0, 2.0):
            batch = await claim(relay, floor.seq, Limits())
            await relay.execute("ROLLBACK")
            assert batch.lowest is not None
            floor.learn(batch.lowest, now)
        from_the_start = await _median_claim(relay, 0)
        assert await _median_claim(relay, floor.seq) < from_the_start / 4
    await dump.close()


async def test_parked_rows_go_on_in_order_once_the_failing_row_is_delivered(
    shop: Outlet, relay: Connection
) -> None:
    await shop.write("order", 3)
    (failed,) = await _claim_and_fail(relay, "returned: NO_ROUTE")
    assert len(failed.messages) == 3
    assert await sweep.park_behind_failing(relay, 0) == 2
    await shop.write("order", 1, first=4)
    await shop.db.execute("UPDATE outbox SET due_at = now() WHERE attempts > 0")
    batch = await claim(relay, 0, Limits(run=2))
    (run,) = batch.runs
    assert [message.body for message in run.messages] == [b"order 1", b"order 2"]
    run.confirmed = 2
    upcoming = await settle(relay, batch.runs, archive=False, park_from=None)
    assert upcoming == await shop.db.fetchval("SELECT min(seq) FROM outbox")
    (rest,) = (await claim(relay, 0, Limits())).runs
    assert [message.body for message in rest.messages] == [b"order 3", b"order 4"]
    await relay.execute("ROLLBACK")


async def test_nothing_is_parked_while_a_relay_holds_the_failing_row(
    shop: Outlet, relay: Connection
) -> None:
    await shop.write("order", 3)
    await _claim_and_fail(relay, "returned: NO_ROUTE")
    await shop.db.execute("UPDATE outbox SET due_at = now() WHERE attempts > 0")
    batch = await claim(relay, 0, Limits(run=1))
    assert await sweep.park_behind_failing(shop.db, 0) == 0
    batch.runs[0].confirmed = 1
    await settle(relay, batch.runs, archive=False, park_from=None)
    assert await shop.count("due_at < 'infinity'") == 2


async def test_two_relays_never_hold_rows_of_one_subject(shop: Outlet, relay: Connection) -> None:
    await shop.write("order", 3)
    await shop.write("other", 1)
    second = await connect(shop.dsn, "shop relay")
    first_batch = await claim(relay, 0, Limits(heads=1))
    second_batch = await claim(second, 0, Limits())
    assert [run.subject for run in first_batch.runs] == ["order"]
    assert [run.subject for run in second_batch.runs] == ["other"]
    await relay.execute("ROLLBACK")
    await second.close()


async def test_the_pause_after_a_failure_is_counted_from_the_failure_not_from_the_claim(
    shop: Outlet, relay: Connection
) -> None:
    await shop.write("order")
    (run,) = (await claim(relay, 0, Limits())).runs
    await relay.execute("SELECT pg_sleep(0.5)")  # as long as a confirm that never comes
    run.error, run.delay = "no confirm", timedelta(seconds=10)
    before = await shop.db.fetchval("SELECT clock_timestamp()")
    await settle(relay, [run], archive=False, park_from=None)
    assert await shop.db.fetchval("SELECT due_at FROM outbox") >= before + timedelta(seconds=10)


async def test_an_idle_relay_takes_a_row_within_milliseconds_of_the_bell(shop: Outlet) -> None:
    await shop.bind()
    bell = Bell()
    took = []
    async with shop.relay(settings=RelaySettings(poll=30.0, sweep=30.0), bell=bell) as relay:

        async def ready() -> bool:
            return relay.ready

        await eventually(ready)
        for n in range(10):
            await shop.write(f"order-{n}")
            started = time.perf_counter()
            bell.ring()
            while await shop.count():
                pass
            took.append(time.perf_counter() - started)
    assert statistics.median(took) < 0.1
