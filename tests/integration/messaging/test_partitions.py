"""Daily partitions are kept up, with rows in the default partition and with busy tables."""

import asyncio
import logging
import time
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest
from aio_pika.abc import AbstractChannel
from prometheus_client import REGISTRY
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from libs.kernel.ids import uuid7
from libs.messaging.database import Connection
from libs.messaging.inbox.inbox import Inbox, Verdict
from libs.messaging.saga.choreography import choreography_of
from libs.messaging.schema import partitions as keeping
from libs.messaging.schema.inbox_window import InboxWindow
from libs.messaging.schema.partitions import DAYS_AHEAD, PartitionUpkeep, maintain
from libs.runtime.service import Service
from libs.runtime.settings import Role, ServiceSettings
from tests.fixtures.polling import eventually
from tests.fixtures.services import serving
from tests.integration.messaging.relaying import install
from tests.integration.messaging.sample import (
    TABLES,
    credit,
    on_the_wire,
    order_placed,
    transactions,
)
from tests.integration.messaging.wire import send

KEPT_AT = ("partitions_kept_timestamp_seconds", {"service": "shop"})
KEYS = {"inbox": "made_at", "outbox_archive": "created_at"}
PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = $1::regclass"
ADD = {
    "inbox": "INSERT INTO inbox (message_id, consumer, made_at, payload_hash)"
    " SELECT gen_random_uuid(), 'c', $1, '' FROM generate_series(1, $2::int)",
    "outbox_archive": "INSERT INTO outbox_archive (seq, id, subject, type, body, created_at)"
    " SELECT n, gen_random_uuid(), 's', 't', '', $1 FROM generate_series(1, $2::int) AS n",
}


@pytest.fixture
async def db(database: str) -> AsyncIterator[Connection]:
    await install(database)
    connection = await asyncpg.connect(database.replace("+asyncpg", ""))
    yield connection
    await connection.close()


async def upkeep(db: Connection) -> list[str]:
    return await maintain(db, keep_archive=timedelta(days=14), keep_inbox=timedelta(days=15))


async def without_partitions(db: Connection, parent: str, *, since: int = -1) -> None:
    """Drop the partitions from day `since` on, as after a week without upkeep."""
    for row in await db.fetch(PARTITIONS, parent):
        if row[0] >= _partition(parent, since) and row[0][-1].isdigit():
            await db.execute(f"DROP TABLE {row[0]}")


def _partition(parent: str, day: int = 0) -> str:
    return f"{parent}_{datetime.now(UTC) + timedelta(days=day):%Y%m%d}"


async def partitions(db: Connection, parent: str) -> set[str]:
    return {row[0] for row in await db.fetch(PARTITIONS, parent)}


async def places(db: Connection, parent: str) -> dict[str, int]:
    rows = await db.fetch(f"SELECT tableoid::regclass::text, count(*) FROM {parent} GROUP BY 1")
    return dict(map(tuple, rows))


async def test_a_table_that_only_looks_like_a_day_disturbs_no_upkeep(db: Connection) -> None:
    """Postgres' own TOAST tables may look like a day too, because their names end in a number."""
    await db.execute("CREATE TABLE like_toast_10009942 ()")
    await db.execute("SET enable_nestloop = off")
    assert await upkeep(db) == []


@pytest.mark.parametrize("parent", KEYS)
async def test_rows_in_the_default_partition_move_to_their_day(db: Connection, parent: str) -> None:
    await without_partitions(db, parent)
    await db.execute(ADD[parent], datetime.now(UTC), 25)
    await db.execute(ADD[parent], datetime.now(UTC) + timedelta(days=30), 2)
    assert await upkeep(db) == []
    assert await places(db, parent) == {_partition(parent): 25, f"{parent}_default": 2}
    assert len(await partitions(db, parent)) == DAYS_AHEAD + 3
    assert await upkeep(db) == []


async def test_a_day_that_cannot_be_made_keeps_no_other_from_being_made_or_dropped(
    db: Connection,
) -> None:
    await without_partitions(db, "inbox")
    await db.execute(
        f"CREATE TABLE {_partition('inbox', 1)}_by_hand PARTITION OF inbox FOR VALUES"
        f" FROM ('{_day(1)} 06:00Z') TO ('{_day(1)} 07:00Z')"
    )
    await db.execute(
        "CREATE TABLE inbox_20200101 PARTITION OF inbox"
        " FOR VALUES FROM ('2020-01-01 00:00Z') TO ('2020-01-02 00:00Z')"
    )
    (problem,) = await upkeep(db)
    assert problem.startswith(f"{_partition('inbox', 1)} was not made: ")
    assert "would overlap" in problem
    made = await partitions(db, "inbox")
    assert {_partition("inbox", day) for day in (-1, 0, 2, DAYS_AHEAD)} <= made
    assert "inbox_20200101" not in made


def _day(day: int) -> str:
    return f"{datetime.now(UTC) + timedelta(days=day):%Y-%m-%d}"


async def test_rows_of_a_made_day_are_as_protected_as_those_of_any_other(db: Connection) -> None:
    """A day made out of rows has what `PARTITION OF` gives: key, columns' defaults, order."""
    await without_partitions(db, "inbox")
    await db.execute(ADD["inbox"], datetime.now(UTC), 1)
    await upkeep(db)
    described = (
        "SELECT pg_get_constraintdef(oid) FROM pg_constraint"
        " WHERE conrelid = $1::regclass ORDER BY 1"
    )
    columns = (
        "SELECT attname, atttypid, attnotnull, attcollation, pg_get_expr(adbin, adrelid)"
        " FROM pg_attribute LEFT JOIN pg_attrdef ON (adrelid, adnum) = (attrelid, attnum)"
        " WHERE attrelid = $1::regclass AND attnum > 0 ORDER BY attnum"
    )
    for query in (described, columns):
        assert await db.fetch(query, _partition("inbox")) == await db.fetch(query, "inbox_default")


async def test_a_message_is_known_at_each_moment_while_its_row_moves(
    db: Connection, database: str
) -> None:
    """Consumers ask again and again for messages handled before, while their rows move."""
    await without_partitions(db, "inbox")
    engine = create_async_engine(database, pool_size=4)
    inbox = Inbox(TABLES.inbox)
    messages = [(uuid7(), b"same") for _ in range(2000)]
    async with engine.begin() as connection:
        assert set(await inbox.admit(connection, "c", messages)) == {Verdict.NEW}
    done = asyncio.Event()
    asked = enough = 0

    async def redeliver(offset: int) -> None:
        nonlocal asked
        while not done.is_set():
            for start in range(offset, len(messages), 400):
                async with engine.begin() as connection:
                    batch = messages[start : start + 20]
                    assert set(await inbox.admit(connection, "c", batch)) == {Verdict.DUPLICATE}
                    asked += 1

    async def asked_again() -> bool:
        return asked >= enough

    async def move() -> None:
        nonlocal enough
        try:
            for _ in range(3):  # there and back, so that many copies meet the move
                enough = asked + 20
                assert await upkeep(db) == []
                assert await places(db, "inbox") == {_partition("inbox"): len(messages)}
                await eventually(asked_again, 30)
                await db.execute(
                    f"BEGIN; LOCK inbox;"
                    f"ALTER TABLE inbox DETACH PARTITION {_partition('inbox')};"
                    f"INSERT INTO inbox_default TABLE {_partition('inbox')};"
                    f"DROP TABLE {_partition('inbox')}; COMMIT"
                )
        finally:
            done.set()

    async with asyncio.TaskGroup() as group:
        for n in range(3):
            group.create_task(redeliver(n * 20))
        group.create_task(move())
    await engine.dispose()


class CreditSettings(ServiceSettings):
    service: str = "credit"


@pytest.mark.parametrize("role", ["all", "worker"])
async def test_one_message_that_waits_at_the_start_finds_its_day_made(
    role: Role, database: str, engine: AsyncEngine, broker: str, channel: AbstractChannel
) -> None:
    """Upkeep has rested for more than a week. A worker has no relay beside it."""
    db = await asyncpg.connect(database.replace("+asyncpg", ""))
    await without_partitions(db, "inbox")
    await send(channel, on_the_wire(order_placed()))
    settings = CreditSettings(database_url=database, rabbitmq_url=broker, role=role)
    participant = credit()
    described = choreography_of([participant])
    service = Service(settings, participant, described, TABLES, transactions(engine), [])
    async with serving(service) as client:

        async def handled() -> bool:
            return await places(db, "inbox") == {_partition("inbox"): 1}

        await eventually(handled)
        assert (await client.get("/ready")).json()["checks"]["partitions"] == "ok"
    assert len(await partitions(db, "inbox")) == DAYS_AHEAD + 3
    await db.close()


async def test_a_busy_table_is_logged_once_and_tried_again_only_after_a_pause(
    db: Connection,
    database: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await without_partitions(db, "inbox")
    dsn = database.replace("+asyncpg", "")
    reader = await asyncpg.connect(dsn)
    await reader.execute("BEGIN; SELECT FROM inbox")  # as a backup does
    upkeep = PartitionUpkeep("shop", database_dsn=dsn, window=InboxWindow(), retention=None)
    attempts: list[None] = []

    async def counted(*arguments: object, **options: object) -> list[str]:
        attempts.append(None)
        return await maintain(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(keeping, "maintain", counted)
    monkeypatch.setattr(keeping, "AGAIN_SECONDS", 0.5)
    with caplog.at_level(logging.WARNING, "libs.messaging.schema.partitions"):
        await upkeep.start()
        try:
            assert upkeep.problems == ("canceling statement due to lock timeout",)

            async def tried_again() -> bool:
                return len(attempts) == 2

            await eventually(tried_again)
            await reader.execute("COMMIT")

            async def healed() -> bool:
                return not upkeep.problems

            await eventually(healed)
        finally:
            await upkeep.stop()
            await reader.close()
    assert len(attempts) <= 3
    assert caplog.messages == ["shop partitions: canceling statement due to lock timeout"]
    assert _partition("inbox") in await partitions(db, "inbox")


async def test_a_failure_makes_a_process_unready_that_has_not_succeeded_for_a_day(
    db: Connection, database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Days are made a week ahead: a backup that keeps a table busy for an hour harms nobody."""
    upkeep = PartitionUpkeep(
        "shop",
        database_dsn=database.replace("+asyncpg", ""),
        window=InboxWindow(),
        retention=None,
    )
    await upkeep.start()
    try:
        assert upkeep.problems == ()
        kept_at = REGISTRY.get_sample_value(*KEPT_AT)
        assert kept_at is not None
        assert kept_at > time.time() - 60
        await db.execute("ALTER FUNCTION messaging_maintain_partitions RENAME TO gone")
        with pytest.raises(asyncpg.UndefinedFunctionError):
            await maintain(db, keep_archive=None, keep_inbox=timedelta(days=15))
        await upkeep._maintain()
        assert upkeep.problems == ()
        assert REGISTRY.get_sample_value(*KEPT_AT) == kept_at
        monkeypatch.setattr(keeping, "TOLERATED_SECONDS", 0.0)
        assert "messaging_maintain_partitions" in " ".join(upkeep.problems)
    finally:
        await upkeep.stop()


async def test_a_database_that_is_away_at_the_start_does_not_block_the_start(database: str) -> None:
    dsn = database.replace("+asyncpg", "").rpartition("/")[0] + "/nowhere"
    upkeep = PartitionUpkeep("shop", database_dsn=dsn, window=InboxWindow(), retention=None)
    async with asyncio.timeout(10):
        await upkeep.start()
        try:
            assert upkeep.problems
        finally:
            await upkeep.stop()


async def test_rows_are_kept_as_long_as_the_subscribers_window_asks(
    db: Connection, database: str
) -> None:
    day = datetime.now(UTC) - timedelta(days=20)
    old = f"inbox_{day:%Y%m%d}"
    await db.execute(
        f"CREATE TABLE {old} PARTITION OF inbox"
        f" FOR VALUES FROM ('{day:%Y-%m-%d} 00:00Z') TO ('{day:%Y-%m-%d} 23:59Z')"
    )
    for past, kept in ((timedelta(days=20), True), (timedelta(days=18), False)):
        upkeep = PartitionUpkeep(
            "shop",
            database_dsn=database.replace("+asyncpg", ""),
            window=InboxWindow(past=past),
            retention=None,
        )
        await upkeep.start()
        await upkeep.stop()
        assert (old in await partitions(db, "inbox")) is kept


async def test_partitions_of_the_services_own_are_made_although_the_messages_are_busy(
    db: Connection, database: str
) -> None:
    await without_partitions(db, "inbox")
    dsn = database.replace("+asyncpg", "")
    reader = await asyncpg.connect(dsn)
    await reader.execute("BEGIN; SELECT FROM inbox")

    async def own(connection: Connection) -> list[str]:
        await connection.execute("CREATE TABLE months AS SELECT 1")
        return ["audits_202612 was not made"]

    upkeep = PartitionUpkeep(
        "shop", database_dsn=dsn, window=InboxWindow(), retention=None, own=own
    )
    try:
        await upkeep.start()
        assert upkeep.problems == (
            "canceling statement due to lock timeout",
            "audits_202612 was not made",
        )
        assert await db.fetchval("SELECT count(*) FROM months") == 1
    finally:
        await upkeep.stop()
        await reader.close()
