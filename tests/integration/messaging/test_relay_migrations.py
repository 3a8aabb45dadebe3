"""The tables as the migration makes them, and their partitions."""

import uuid
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import Connection, MetaData
from sqlalchemy.ext.asyncio import create_async_engine

from libs.messaging.database import Connection as Session
from libs.messaging.schema import migrations
from libs.messaging.schema.partitions import DAYS_AHEAD, include_name, maintain
from libs.messaging.schema.tables import messaging_tables
from tests.integration.messaging.relaying import install

PARTITIONS = "SELECT inhrelid::regclass::text FROM pg_inherits WHERE inhparent = $1::regclass"


@pytest.fixture
async def db(database: str) -> AsyncIterator[Session]:
    await install(database)
    connection = await asyncpg.connect(database.replace("+asyncpg", ""))
    yield connection
    await connection.close()


def _drift(connection: Connection) -> list[Any]:
    metadata = MetaData()
    messaging_tables(metadata)
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

    await install(database)
    engine = create_async_engine(database)
    async with engine.begin() as connection:
        await connection.run_sync(both)
    await engine.dispose()


async def test_a_role_without_ddl_makes_partitions_ahead_and_drops_old_ones(
    db: Session,
) -> None:
    role = f"app_{uuid.uuid4().hex[:8]}"
    for parent in ("inbox", "outbox_archive"):
        await db.execute(
            f"CREATE TABLE {parent}_20200101 PARTITION OF {parent}"
            " FOR VALUES FROM ('2020-01-01 00:00Z') TO ('2020-01-02 00:00Z')"
        )
        last = max(r[0] for r in await db.fetch(PARTITIONS, parent) if r[0][-1].isdigit())
        await db.execute(f"DROP TABLE {last}")
    await db.execute(f"CREATE ROLE {role}; GRANT SELECT ON inbox, outbox_archive TO {role}")
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


async def test_what_is_within_its_days_is_kept(db: Session) -> None:
    day = f"{datetime.now(UTC) - timedelta(days=5):%Y%m%d}"
    await db.execute(
        f"CREATE TABLE inbox_{day} PARTITION OF inbox"
        f" FOR VALUES FROM ('{day} 00:00Z') TO ('{day} 23:59Z')"
    )
    await maintain(db, keep_archive=None, keep_inbox=timedelta(days=5))
    assert f"inbox_{day}" in {row[0] for row in await db.fetch(PARTITIONS, "inbox")}
    await maintain(db, keep_archive=None, keep_inbox=timedelta(days=4))
    assert f"inbox_{day}" not in {row[0] for row in await db.fetch(PARTITIONS, "inbox")}
