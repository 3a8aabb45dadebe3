"""As the database's clock moves on, partitions are made ahead and old ones are dropped."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import datetime, timedelta

import asyncpg
import pytest
from sqlalchemy import make_url

from libs.messaging.database import Connection
from libs.messaging.schema.inbox_window import INBOX_WINDOW
from libs.messaging.schema.partitions import DAYS_AHEAD, maintain
from libs.runtime.migrations import migrate
from services.portal.infrastructure.store.keeping import MONTHS_AHEAD
from tests.fixtures.moving_clock import MovingClock, postgres_with_a_moving_clock
from tests.fixtures.servers import fresh_database

pytestmark = pytest.mark.slow
ARCHIVED = timedelta(days=3)
PARTITIONS = """
    SELECT relname FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
     WHERE inhparent = $1::regclass AND relname !~ 'default'"""
HEARD = """
    INSERT INTO inbox (message_id, consumer, made_at, payload_hash)
    VALUES (gen_random_uuid(), 'c', now(), '') RETURNING tableoid::regclass::text"""


@pytest.fixture(scope="module")
def clock() -> Iterator[MovingClock]:
    with postgres_with_a_moving_clock() as moving:
        yield moving


@pytest.fixture
async def db(clock: MovingClock) -> AsyncIterator[Connection]:
    """Yield a connection to the portal's database at the real time."""
    clock.move(timedelta(0))
    async with fresh_database(clock.server) as url:
        await asyncio.to_thread(migrate, "portal", make_url(url), "upgrade", "head")
        connection = await asyncpg.connect(url.replace("+asyncpg", ""))
        yield connection
        await connection.close()


async def upkeep(db: Connection) -> None:
    assert await maintain(db, keep_archive=ARCHIVED, keep_inbox=INBOX_WINDOW.kept) == []


async def today(db: Connection) -> datetime:
    now: datetime = await db.fetchval("SELECT date_trunc('day', now(), 'UTC')")
    return now


async def days(db: Connection, parent: str) -> set[str]:
    return {row["relname"].removeprefix(f"{parent}_") for row in await db.fetch(PARTITIONS, parent)}


async def from_to(db: Connection, first: int, last: int) -> set[str]:
    now = await today(db)
    return {f"{now + timedelta(days=day):%Y%m%d}" for day in range(first, last + 1)}


async def test_each_day_finds_its_partition_made_and_old_ones_dropped(
    db: Connection, clock: MovingClock
) -> None:
    began = await today(db)
    await upkeep(db)
    for day in range(1, 25):
        clock.move(timedelta(days=day))
        assert await today(db) == began + timedelta(days=day)
        assert await db.fetchval(HEARD) == f"inbox_{await today(db):%Y%m%d}"
        await upkeep(db)
        oldest = max(-day - 1, -ARCHIVED.days)
        assert await days(db, "outbox_archive") == await from_to(db, oldest, DAYS_AHEAD)
        oldest = max(-day - 1, -INBOX_WINDOW.kept.days)
        assert await days(db, "inbox") == await from_to(db, oldest, DAYS_AHEAD)
    assert await db.fetchval("SELECT count(*) FROM inbox") == INBOX_WINDOW.kept.days + 1


async def test_after_weeks_without_upkeep_rows_move_into_their_days(
    db: Connection, clock: MovingClock
) -> None:
    await upkeep(db)
    clock.move(timedelta(days=20))
    assert await db.fetchval(HEARD) == "inbox_default"

    await upkeep(db)

    place = "SELECT tableoid::regclass::text FROM inbox"
    assert await db.fetchval(place) == f"inbox_{await today(db):%Y%m%d}"
    assert await days(db, "inbox") >= await from_to(db, -1, DAYS_AHEAD)


async def test_months_of_audits_are_kept_for_years_and_dropped_behind(
    db: Connection, clock: MovingClock
) -> None:
    kept, timeline = 24, 12

    async def months(parent: str) -> list[str]:
        return sorted(await days(db, parent))

    async def keep() -> None:
        for ahead in range(MONTHS_AHEAD + 1):
            done = await db.fetch(
                "SELECT portal_maintain_partitions($1, $2, $3)", ahead, kept, timeline
            )
            assert done == []

    await keep()
    first = await months("audits")
    for month in range(1, 31):
        clock.move(timedelta(days=30.5 * month))
        await keep()
    now = await today(db)
    audits = await months("audits")
    assert audits[-1] >= f"{now + timedelta(days=31):%Y%m}"
    assert f"{now - timedelta(days=29 * kept):%Y%m}" in audits
    assert audits[0] >= f"{now - timedelta(days=31 * kept):%Y%m}"
    assert first[0] not in audits
    assert len(await months("timeline")) == timeline + MONTHS_AHEAD + 1
