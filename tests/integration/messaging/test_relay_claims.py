"""A claim stays cheap when many rows wait that it cannot claim."""

import json
import statistics
import time
from collections.abc import AsyncIterator
from datetime import timedelta

import asyncpg
import pytest

from libs.messaging.database import Connection, connect
from libs.messaging.kept_connection import KeptConnection
from libs.messaging.outbox.wakeup import WakeUp
from libs.messaging.relay.claimer import Work
from libs.messaging.relay.claims import (
    CLAIM,
    Batch,
    Limits,
    Outcome,
    SubjectRows,
    claim,
    park,
    settle,
)
from libs.messaging.relay.janitor import Janitor
from libs.messaging.relay.relay import RelaySettings
from libs.messaging.relay.rows import begin
from libs.messaging.relay.scan_start import ScanStart
from tests.fixtures.polling import eventually
from tests.integration.messaging.relaying import SERVICE, Outlet, outlet

PAGES = 20_000
"""A claim reads at most these pages, also from memory. A claim of a thousand rows needs 11,000, and
one that looks through all that waits hundreds of thousands.
"""


@pytest.fixture
async def shop(database: str, vhost: str) -> AsyncIterator[Outlet]:
    async with outlet(database, vhost, bound=False) as made:
        yield made


@pytest.fixture
async def relay(shop: Outlet) -> AsyncIterator[Connection]:
    """Yield a connection with a relay's settings."""
    connection = await connect(shop.dsn, "shop relay", statement_cache=100)
    yield connection
    await connection.close()


async def _fill(shop: Outlet, subject: str, count: int) -> None:
    await shop.db.execute(
        "INSERT INTO outbox (id, subject, type, body)"
        f" SELECT gen_random_uuid(), {subject}, 'sold.v1', 'x' FROM generate_series(1, $1::int) n",
        count,
    )


async def _pages(relay: Connection, look_from: int, limits: Limits) -> int:
    """Return the pages that a claim reads: its cost, whatever else the machine does."""
    await begin(relay)
    plan = await relay.fetchval(
        f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {CLAIM}",
        SERVICE,
        look_from,
        limits.fresh,
        limits.failing,
        limits.of_subject,
        limits.rows,
        limits.bytes,
        limits.window,
    )
    await relay.execute("ROLLBACK")
    top = json.loads(plan)[0]["Plan"]
    return int(top["Shared Hit Blocks"] + top["Shared Read Blocks"])


async def _claim(
    relay: Connection, look_from: int = 0, limits: Limits | None = None, source: str = SERVICE
) -> Batch:
    return await claim(relay, source, look_from, limits or Limits())


def _subjects(batch: Batch) -> list[str]:
    return [rows.subject for rows in batch.subjects]


def _bodies(rows: SubjectRows) -> list[str]:
    return [message.body.decode() for message in rows.messages]


async def _settle(
    relay: Connection, *outcomes: Outcome, retry_after: timedelta = timedelta(0)
) -> int | None:
    return await settle(relay, SERVICE, outcomes, retry_after=lambda _: retry_after, archive=False)


async def _park(relay: Connection) -> None:
    """Park rows as another relay does that holds no row."""
    await begin(relay)
    await park(relay, SERVICE, Batch([], crowded_from=0), window=1_000)
    await relay.execute("COMMIT")


async def _all_rounds(relay: Connection) -> list[Batch]:
    """Claim and deliver nothing, until claims have looked through all rows."""
    rounds, look_from = [], 0
    while True:
        batch = await _claim(relay, look_from)
        rounds.append(batch)
        if batch.crowded_from is not None:
            await park(relay, SERVICE, batch, window=Limits().fresh)
        if batch.subjects or batch.crowded_from is not None:
            await _settle(relay, *(Outcome(rows, 0) for rows in batch.subjects))
        if batch.beyond is None:
            return rounds
        look_from = batch.beyond


async def test_rows_behind_a_failing_one_are_parked_and_cost_claims_nothing(
    shop: Outlet, relay: Connection
) -> None:
    await _fill(shop, "'blocked'", 20_000)
    await shop.db.execute("ANALYZE outbox")  # as autovacuum does, so all rows look like one subject
    (blocked,) = (await _claim(relay)).subjects
    await _settle(relay, Outcome(blocked, 0, "returned: NO_ROUTE"), retry_after=timedelta(hours=1))
    await _fill(shop, "'free-' || n", 10)
    rounds = await _all_rounds(relay)
    assert len(rounds) <= 20_000 / Limits().fresh + 1
    assert await shop.count("due_at = 'infinity'") == 19_999
    assert len((await _claim(relay)).subjects) == 10
    await relay.execute("ROLLBACK")
    assert await _pages(relay, 0, Limits()) < PAGES


async def test_a_claim_looks_through_a_bounded_number_of_rows_of_a_hot_subject(
    shop: Outlet, relay: Connection
) -> None:
    await _fill(shop, "'hot'", 100_000)
    await _fill(shop, "'cold'", 1)
    await shop.db.execute("ANALYZE outbox")
    batch = await _claim(relay)
    assert _subjects(batch) == ["hot"]
    assert (batch.beyond, batch.crowded_from) == (Limits().fresh + 1, 0)
    await relay.execute("ROLLBACK")
    assert await _pages(relay, 0, Limits()) < PAGES / 10
    rounds = await _all_rounds(relay)
    assert _subjects(rounds[-1])[-1] == "cold"


async def test_a_claim_takes_a_bounded_number_of_rows(shop: Outlet, relay: Connection) -> None:
    await _fill(shop, "'order-' || n % 200", 40_000)
    batch = await _claim(relay)
    assert len(batch.subjects) == 200
    assert {len(rows.messages) for rows in batch.subjects} == {Limits().rows // 200}
    assert all(rows.more for rows in batch.subjects)
    await relay.execute("ROLLBACK")
    assert await _pages(relay, 0, Limits()) < PAGES


async def test_a_claim_takes_a_bounded_number_of_bytes_and_at_least_one_row(
    shop: Outlet, relay: Connection
) -> None:
    await shop.db.execute(
        "INSERT INTO outbox (id, subject, type, body)"
        " SELECT gen_random_uuid(), 'order-' || n / 3, 'sold.v1', repeat('x', 1000)::bytea"
        " FROM generate_series(0, 29) n"
    )
    batch = await _claim(relay, limits=Limits(bytes=4_000))
    assert [len(rows.messages) for rows in batch.subjects] == [3, 1]
    assert batch.beyond == 0, "the rest comes next"
    assert batch.subjects[-1].more
    await relay.execute("ROLLBACK")
    assert len((await _claim(relay, limits=Limits(bytes=1))).subjects) == 1
    await relay.execute("ROLLBACK")


def _janitor(shop: Outlet, scan_start: ScanStart, freed: list[int]) -> Janitor:
    return Janitor(
        SERVICE,
        KeptConnection(lambda: connect(shop.dsn, "shop relay")),
        scan_start,
        RelaySettings(),
        row_freed=freed.append,
    )


async def test_claims_do_not_walk_over_rows_deleted_under_an_old_snapshot(
    shop: Outlet, relay: Connection
) -> None:
    dump = await asyncpg.connect(shop.dsn)
    await _fill(shop, "'order-' || n", 100_000)
    async with dump.transaction(isolation="repeatable_read", readonly=True):
        await dump.fetchval("SELECT count(*) FROM outbox")
        await shop.db.execute("DELETE FROM outbox")
        await _fill(shop, "'later-' || n", 10)
        scan_start = ScanStart()
        janitor = _janitor(shop, scan_start, [])
        for _ in range(3):
            await janitor._move_scan_start(relay)
        from_the_start = await _pages(relay, 0, Limits())
        assert await _pages(relay, scan_start.seq, Limits()) < from_the_start / 10
        assert len((await _claim(relay, scan_start.seq)).subjects) == 10
        await relay.execute("ROLLBACK")
    await dump.close()


async def test_the_sweep_finds_what_committed_below_the_scan_start(
    shop: Outlet, relay: Connection
) -> None:
    late = await asyncpg.connect(shop.dsn)
    async with late.transaction():
        await late.execute(
            "INSERT INTO outbox (id, subject, type, body)"
            " VALUES (gen_random_uuid(), 'late', 'sold.v1', 'x')"
        )
        await _fill(shop, "'order-' || n", 10)
        scan_start, freed = ScanStart(), list[int]()
        janitor = _janitor(shop, scan_start, freed)
        for _ in range(3):
            await janitor._move_scan_start(relay)
        assert scan_start.seq == 2
        assert freed == []
    await janitor._move_scan_start(relay)
    assert freed == [1]
    await late.close()


async def test_parked_rows_go_on_in_order_once_the_failing_row_is_delivered(
    shop: Outlet, relay: Connection
) -> None:
    await shop.write("order", 3)
    (failed,) = (await _claim(relay)).subjects
    assert len(failed.messages) == 3
    await _settle(relay, Outcome(failed, 0, "returned: NO_ROUTE"))
    await _park(relay)
    assert await shop.count("due_at = 'infinity'") == 2
    await shop.write("order", 1, first=4)
    (rows,) = (await _claim(relay, limits=Limits(of_subject=2))).subjects
    assert _bodies(rows) == ["order 1", "order 2"]
    next_row = await _settle(relay, Outcome(rows, 2))
    assert next_row == await shop.db.fetchval("SELECT min(seq) FROM outbox")
    (rest,) = (await _claim(relay)).subjects
    assert _bodies(rest) == ["order 3", "order 4"]
    await relay.execute("ROLLBACK")


async def test_nothing_is_parked_behind_a_failing_row_that_another_relay_holds(
    shop: Outlet, relay: Connection
) -> None:
    await shop.write("order", 3)
    (failed,) = (await _claim(relay)).subjects
    await _settle(relay, Outcome(failed, 0, "returned: NO_ROUTE"))
    (rows,) = (await _claim(relay, limits=Limits(of_subject=1))).subjects
    second = await connect(shop.dsn, "shop relay")
    await _park(second)
    await second.close()
    assert await shop.count("due_at = 'infinity'") == 0
    await _settle(relay, Outcome(rows, 1))
    assert await shop.count("due_at < 'infinity'") == 2


async def test_two_relays_never_hold_rows_of_one_subject(shop: Outlet, relay: Connection) -> None:
    await shop.write("order", 3)
    await shop.write("other", 1)
    second = await connect(shop.dsn, "shop relay")
    first_batch = await _claim(relay, limits=Limits(fresh=1))
    second_batch = await _claim(second)
    assert _subjects(first_batch) == ["order"]
    assert _subjects(second_batch) == ["other"]
    await relay.execute("ROLLBACK")
    await second.close()


async def test_a_relay_takes_the_rows_of_its_own_source_and_leaves_the_others(
    shop: Outlet, relay: Connection
) -> None:
    write = (
        "INSERT INTO outbox (source, id, subject, type, body)"
        " VALUES ($1, gen_random_uuid(), 'order', 'sold.v1', convert_to($1, 'UTF8'))"
    )
    for source in ("mailer", SERVICE, "mailer"):
        await shop.db.execute(write, source)
    (ours,) = (await _claim(relay)).subjects
    second = await connect(shop.dsn, "mailer relay")
    (theirs,) = (await _claim(second, source="mailer")).subjects
    assert _bodies(ours) == [SERVICE]
    assert _bodies(theirs) == ["mailer", "mailer"]
    await _settle(relay, Outcome(ours, 0, "returned: NO_ROUTE"))
    await _park(relay)
    await second.execute("ROLLBACK")
    assert await shop.count("source = 'mailer' AND attempts = 0 AND due_at < 'infinity'") == 2
    assert _subjects(await _claim(relay)) == ["order"]
    await relay.execute("ROLLBACK")
    await second.close()


async def test_the_pause_after_a_failure_is_counted_from_the_failure_not_from_the_claim(
    shop: Outlet, relay: Connection
) -> None:
    await shop.write("order")
    (rows,) = (await _claim(relay)).subjects
    await relay.execute("SELECT pg_sleep(0.5)")  # as long as the wait for a missing confirm
    before = await shop.db.fetchval("SELECT clock_timestamp()")
    await _settle(relay, Outcome(rows, 0, "no confirm"), retry_after=timedelta(seconds=10))
    assert await shop.db.fetchval("SELECT due_at FROM outbox") >= before + timedelta(seconds=10)


async def test_an_idle_relay_claims_a_row_within_milliseconds_of_the_wake_up(shop: Outlet) -> None:
    await shop.bind()
    wake_up = WakeUp()
    took = []
    async with shop.relay(settings=RelaySettings(poll=30.0, sweep=30.0), wake_up=wake_up) as relay:

        async def ready() -> bool:
            return relay.ready

        await eventually(ready)
        for n in range(10):
            await shop.write(f"order-{n}")
            started = time.perf_counter()
            wake_up.signal()
            while await shop.count():
                pass
            took.append(time.perf_counter() - started)
    assert statistics.median(took) < 0.1


async def test_two_relays_seldom_look_through_what_the_other_holds(
    shop: Outlet, relay: Connection
) -> None:
    other = await connect(shop.dsn, "shop relay", statement_cache=100)
    await _fill(shop, "'subject-' || n", 12_000)
    relays = [(each, Work(WakeUp(), RelaySettings())) for each in (relay, other)]
    held: dict[Connection, Batch] = {}
    found: list[int] = []
    while sum(found) < 10_000:
        for connection, work in relays:
            if connection in held:
                await _settle(connection, *(Outcome(r, 1) for r in held.pop(connection).subjects))
            look_from, signals = work.begin()
            batch = await _claim(connection, look_from)
            work.claimed(batch, signals)
            if batch.subjects:
                held[connection] = batch
            found.append(len(batch.subjects))
    await other.close()
    assert found.count(0) <= len(found) / 5, found


async def test_a_relay_that_stands_still_keeps_back_no_more_than_it_holds(
    database: str, vhost: str
) -> None:
    async with outlet(database, vhost) as shop:
        stands_still = await connect(shop.dsn, "shop relay", statement_cache=100)
        await _fill(shop, "'subject-' || n", 3_000)
        held = await _claim(stands_still)

        async def no_others_are_left() -> bool:
            return await shop.count() == len(held.subjects)

        async with shop.relay():
            await eventually(no_others_are_left, 10)
        await stands_still.close()
