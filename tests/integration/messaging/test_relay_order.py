"""With many writers and several relays, events of a subject keep their order and no
row is forgotten.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import replace

import asyncpg
import pytest
from prometheus_client import REGISTRY

from libs.messaging.relay.claims import Limits
from tests.fixtures.polling import eventually
from tests.integration.messaging.relaying import QUICK, SERVICE, WRITE, Outlet, outlet, per_subject

SUBJECTS = [f"order-{n}" for n in range(20)]


@pytest.fixture
async def shop(database: str, vhost: str) -> AsyncIterator[Outlet]:
    async with outlet(database, vhost) as made:
        yield made


async def _writer(dsn: str, worker: int, rounds: int) -> None:
    """Lock an aggregate, raise its counter and write the event, as services do."""
    connection = await asyncpg.connect(dsn)
    for turn in range(rounds):
        async with connection.transaction():
            for offset in (0, 7):
                subject = SUBJECTS[(worker + turn + offset) % len(SUBJECTS)]
                number = await connection.fetchval(
                    "UPDATE aggregate SET counter = counter + 1 WHERE subject = $1"
                    " RETURNING counter",
                    subject,
                )
                await connection.execute(WRITE, subject, "sold.v1", number, number)
                if offset == 0 and turn % 5:
                    break
    await connection.close()


async def test_events_of_a_subject_keep_their_order_with_three_relays_and_many_writers(
    shop: Outlet,
) -> None:
    await shop.db.execute("CREATE TABLE aggregate (subject text PRIMARY KEY, counter int)")
    await shop.db.execute("INSERT INTO aggregate SELECT unnest($1::text[]), 0", SUBJECTS)
    small = replace(QUICK, limits=Limits(fresh=5, of_subject=3))
    async with AsyncExitStack() as relays:
        for _ in range(3):
            await relays.enter_async_context(shop.relay(settings=small))
        # Workers take two locks in any order: the loser of a deadlock pauses before it tries again.
        results = await asyncio.gather(
            *[_writer(shop.dsn, worker, 40) for worker in range(6)], return_exceptions=True
        )
        await shop.drained()
    lost = [r for r in results if r and not isinstance(r, asyncpg.DeadlockDetectedError)]
    assert not lost
    rows = await shop.db.fetch("SELECT subject, counter FROM aggregate WHERE counter > 0")
    arrived = per_subject([body for _, body in await shop.received()])
    assert arrived == {row["subject"]: list(range(1, row["counter"] + 1)) for row in rows}


async def test_a_row_that_commits_late_with_a_lower_number_is_not_lost(shop: Outlet) -> None:
    late = await asyncpg.connect(shop.dsn)
    transaction = late.transaction()
    await transaction.start()
    await late.execute(WRITE, "late", "sold.v1", 1, 1)
    async with shop.relay() as relay:

        async def others_passed_it() -> bool:
            await shop.write("other")
            return relay._work.scan_start.seq > 1

        await eventually(others_passed_it)
        await transaction.commit()
        await shop.drained()
    assert "late 1" in [body for _, body in await shop.received()]
    await late.close()


async def test_many_events_waiting_on_one_subject_share_few_transactions(shop: Outlet) -> None:
    await shop.write("hot", 1000)
    await shop.write("cold", 1)
    before = _rounds()
    async with shop.relay(settings=replace(QUICK, poll=1.0)):
        await shop.drained(timeout=30)
    arrived = per_subject([body for _, body in await shop.received()])
    assert arrived == {"hot": list(range(1, 1001)), "cold": [1]}
    assert _rounds() - before < 300


def _rounds() -> float:
    return REGISTRY.get_sample_value("outbox_batch_seconds_count", {"service": SERVICE}) or 0.0


@pytest.mark.long
async def test_events_in_the_way_of_others_are_parked_and_still_go_out_in_order(
    shop: Outlet,
) -> None:
    await shop.write("hot", 2_500)
    await shop.write("cold")
    async with shop.relay(settings=replace(QUICK, limits=Limits(of_subject=10))):

        async def parked() -> bool:
            return await shop.count("due_at = 'infinity'") > 0

        await eventually(parked)

        async def cold_is_gone() -> bool:
            return await shop.count("subject = 'cold'") == 0

        await eventually(cold_is_gone)
        assert await shop.count() > 1_000, "it did not wait for the others"
        await shop.write("hot", 20, first=2_501)
        await shop.db.execute("DELETE FROM outbox WHERE seq BETWEEN 1500 AND 2400")
        await shop.drained(timeout=60)
    arrived = per_subject([body for _, body in await shop.received()])
    assert arrived["cold"] == [1]
    assert arrived["hot"] == sorted(set(arrived["hot"]))
    assert arrived["hot"][-1] == 2_520


async def test_rows_parked_behind_a_row_somebody_deleted_go_out(shop: Outlet) -> None:
    await shop.write("orphan", 2)
    await shop.db.execute("UPDATE outbox SET due_at = 'infinity'")
    async with shop.relay():
        await shop.drained()
    assert [body for _, body in await shop.received()] == ["orphan 1", "orphan 2"]
