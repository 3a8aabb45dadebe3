"""The migration makes the tables of the library and their partitions."""

import uuid
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, MetaData, text
from sqlalchemy.ext.asyncio import create_async_engine

from libs.messaging.database import Connection as Session
from libs.messaging.schema import migrations
from libs.messaging.schema.partitions import DAYS_AHEAD, include_name, maintain
from libs.messaging.schema.tables import messaging_tables
from tests.integration.messaging.relaying import SERVICE, install

PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = $1::regclass"


@pytest.fixture
async def db(database: str) -> AsyncIterator[Session]:
    await install(database)
    connection = await asyncpg.connect(database.replace("+asyncpg", ""))
    yield connection
    await connection.close()


def _drift(connection: Connection) -> list[Any]:
    metadata = MetaData()
    messaging_tables(metadata, source=SERVICE)
    options = {"include_name": include_name, "compare_type": True, "compare_server_default": True}
    context = MigrationContext.configure(connection, opts=options)
    return list(compare_metadata(context, metadata))


async def test_autogenerate_finds_no_drift_and_no_partition(database: str) -> None:
    await install(database)
    engine = create_async_engine(database)
    async with engine.begin() as connection:
        assert await connection.run_sync(_drift) == []
    await engine.dispose()


async def test_uninstall_leaves_nothing_and_install_works_again(database: str) -> None:
    def both(connection: Connection) -> None:
        operations = Operations(MigrationContext.configure(connection))
        migrations.uninstall(operations)
        left = connection.exec_driver_sql(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
        )
        assert left.all() == []
        migrations.install(operations)
        migrations.upgrade(operations)

    await install(database)
    engine = create_async_engine(database)
    async with engine.begin() as connection:
        await connection.run_sync(both)
    await engine.dispose()


async def test_a_role_without_ddl_makes_partitions_ahead_and_drops_old_ones(
    db: Session,
) -> None:
    role = f"test_app_{uuid.uuid4().hex[:8]}"
    for parent in ("inbox", "outbox_archive"):
        await db.execute(
            f"CREATE TABLE {parent}_20200101 PARTITION OF {parent}"
            " FOR VALUES FROM ('2020-01-01 00:00Z') TO ('2020-01-02 00:00Z')"
        )
        last = max(r[0] for r in await db.fetch(PARTITIONS, parent) if r[0][-1].isdigit())
        await db.execute(f"DROP TABLE {last}")
    await db.execute(
        f"CREATE ROLE {role}; GRANT SELECT ON inbox, outbox_archive TO {role}; GRANT EXECUTE ON"
        f" FUNCTION messaging_maintain_partitions(integer, integer, integer) TO {role}"
    )
    try:
        await db.execute(f"SET ROLE {role}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await db.execute("DROP TABLE inbox_20200101")
        await maintain(db, keep_archive=None, keep_inbox=timedelta(days=7))
        await db.execute("RESET ROLE")
        for parent in ("inbox", "outbox_archive"):
            names = {row[0] for row in await db.fetch(PARTITIONS, parent)}
            assert f"{parent}_20200101" not in names
            assert f"{parent}_default" in names
            # yesterday, today and the days ahead, and the default
            assert len(names) == DAYS_AHEAD + 3
    finally:
        await db.execute(f"RESET ROLE; DROP OWNED BY {role}; DROP ROLE {role}")


async def test_a_row_within_its_days_is_kept(db: Session) -> None:
    day = f"{datetime.now(UTC) - timedelta(days=5):%Y%m%d}"
    await db.execute(
        f"CREATE TABLE inbox_{day} PARTITION OF inbox"
        f" FOR VALUES FROM ('{day} 00:00Z') TO ('{day} 23:59Z')"
    )
    await maintain(db, keep_archive=None, keep_inbox=timedelta(days=5))
    assert f"inbox_{day}" in {row[0] for row in await db.fetch(PARTITIONS, "inbox")}
    await maintain(db, keep_archive=None, keep_inbox=timedelta(days=4))
    assert f"inbox_{day}" not in {row[0] for row in await db.fetch(PARTITIONS, "inbox")}


async def test_the_previous_release_writes_while_and_after_the_tables_are_upgraded(
    database: str,
) -> None:
    """Its rows belong to the service that the new column's default names, without a rewrite."""

    def to_version(number: int) -> Callable[[Connection], None]:
        step = (migrations.install, upgrade_to_2, migrations.downgrade)[number]
        return lambda connection: step(Operations(MigrationContext.configure(connection)))

    def upgrade_to_2(op: Operations) -> None:
        migrations.upgrade(op, source="orders")

    engine = create_async_engine(database)
    old = text(
        "INSERT INTO outbox (id, subject, type, body) VALUES (gen_random_uuid(), '1', 't', '')"
    )
    file = text("SELECT pg_relation_filenode('outbox')")
    async with engine.begin() as connection:
        await connection.run_sync(to_version(0))
        await connection.execute(old)
        before = await connection.scalar(file)
        await connection.run_sync(to_version(1))
        assert await connection.scalar(file) == before, "the table was rewritten"
        await connection.execute(old)
        sources = await connection.execute(text("SELECT source FROM outbox"))
        assert sources.scalars().all() == ["orders", "orders"]
        await connection.execute(text("SELECT messaging_maintain_partitions(7, 0, 15)"))
        await connection.run_sync(to_version(2))
        await connection.execute(old)
        await connection.execute(text("SELECT messaging_maintain_partitions(7, 0, 15)"))
    await engine.dispose()


async def test_only_who_writes_the_inbox_may_call_the_upkeep(database: str) -> None:
    writer, stranger = (f"test_{name}_{uuid.uuid4().hex[:8]}" for name in ("writer", "stranger"))
    engine = create_async_engine(database)
    dsn = database.replace("+asyncpg", "")
    db = await asyncpg.connect(dsn)

    def step(connection: Connection) -> None:
        operations = Operations(MigrationContext.configure(connection))
        migrations.install(operations)
        connection.exec_driver_sql(f"GRANT INSERT, DELETE ON inbox TO {writer}")
        migrations.upgrade(operations)

    try:
        await db.execute(f"CREATE ROLE {writer}; CREATE ROLE {stranger}")
        async with engine.begin() as connection:
            await connection.run_sync(step)
        await db.execute(f"SET ROLE {writer}")
        assert await maintain(db, keep_archive=None, keep_inbox=timedelta(days=15)) == []
        await db.execute(f"SET ROLE {stranger}")
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="messaging_maintain"):
            await maintain(db, keep_archive=None, keep_inbox=timedelta(days=15))
    finally:
        await db.execute(
            f"RESET ROLE; DROP OWNED BY {writer}, {stranger}; DROP ROLE {writer}, {stranger}"
        )
        await db.close()
        await engine.dispose()


@pytest.mark.parametrize("days", [(-2, 1, 15), (7, -1, 15), (7, 0, 0), (400, 0, 15), (7, 0, None)])
async def test_days_that_would_empty_the_tables_are_refused(
    db: Session, days: tuple[int | None, ...]
) -> None:
    before = await db.fetch(PARTITIONS, "inbox")
    with pytest.raises(asyncpg.InvalidParameterValueError, match="an inbox 1 to 3650"):
        await db.execute("SELECT messaging_maintain_partitions($1, $2, $3)", *days)
    assert await db.fetch(PARTITIONS, "inbox") == before


@pytest.mark.parametrize(
    ("table", "kept"),
    [
        ("inbox_default", False),
        ("outbox_archive_20260101", False),
        ("inbox_202601", True),
        ("settings_default", True),
        ("stock_20240101", True),
        ("sales_202401", True),
    ],
)
def test_alembic_sees_every_table_but_the_partitions(table: str, *, kept: bool) -> None:
    assert include_name(table, "table") is kept
