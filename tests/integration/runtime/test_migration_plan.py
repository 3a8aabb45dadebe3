"""A plan shows what Postgres does for pending migrations, and changes nothing."""

import asyncio

import asyncpg
import pytest
from sqlalchemy import make_url

from libs.runtime.migration_plan import Pending, Statement, pending, play
from libs.runtime.migrations import migrate
from libs.runtime.start_failure import StartFailure
from tests.fixtures.polling import eventually
from tests.fixtures.servers import PostgresServer

REVISION = "SELECT version_num FROM alembic_version"


async def at(database: str, service: str, revision: str) -> Pending:
    await asyncio.to_thread(migrate, service, make_url(database), "upgrade", revision)
    return await pending(service, plain(database))


def plain(database: str) -> str:
    return database.replace("+asyncpg", "")


def about(statements: list[Statement], words: str) -> Statement:
    [found] = [each for each in statements if words in each.sql]
    return found


async def test_a_plan_has_the_sql_and_the_locks_and_changes_nothing(
    database: str, postgres_server: PostgresServer
) -> None:
    wanted = await at(database, "customers", "0002")

    statements = await play(wanted, postgres_server.url)

    assert wanted.revisions == ["0003", "0004"]
    added = about(statements, "ADD COLUMN user_id")
    assert added.sql == "ALTER TABLE customers ADD COLUMN user_id UUID"
    assert added.locks == {"customers": "AccessExclusiveLock"}
    assert added.rewrites == []
    assert about(statements, "CREATE INDEX ix_customers_credit_requests").locks == {}  # it has one
    connection = await asyncpg.connect(plain(database))
    try:
        assert await connection.fetchval(REVISION) == "0002"
        scratch = "SELECT count(*) = 0 FROM pg_database WHERE datname = 'plan_customers'"
        await eventually(lambda: connection.fetchval(scratch))  # another test may plan just now
    finally:
        await connection.close()


async def test_a_table_that_is_rewritten_is_listed_with_its_size(
    database: str, postgres_server: PostgresServer
) -> None:
    wanted = await at(database, "vehicles", "0004")

    statements = await play(wanted, postgres_server.url)

    assert about(statements, "ADD COLUMN words").rewrites == ["vehicles"]
    assert wanted.tables["vehicles"].bytes > 0


async def test_an_index_keeps_writers_from_its_table(
    database: str, postgres_server: PostgresServer
) -> None:
    wanted = await at(database, "vehicles", "0002")

    statements = await play(wanted, postgres_server.url)

    assert about(statements, "vehicles_by_seller").locks == {"vehicles": "ShareLock"}


async def test_an_empty_database_gets_everything_and_nothing_of_it_is_locked(
    database: str, postgres_server: PostgresServer
) -> None:
    wanted = await pending("payouts", plain(database))

    statements = await play(wanted, postgres_server.url)

    assert wanted.revision is None
    assert about(statements, "CREATE TABLE payouts").locks == {}
    assert not any(each.locks for each in statements)


async def test_two_plans_at_once_both_succeed(
    database: str, postgres_server: PostgresServer
) -> None:
    wanted = await at(database, "payouts", "0002")

    one, other = await asyncio.gather(*(play(wanted, postgres_server.url) for _ in range(2)))

    assert one == other != []


async def test_the_pending_migrations_have_one_digest_until_they_change(database: str) -> None:
    before = await at(database, "customers", "0002")
    assert (await pending("customers", plain(database))).digest == before.digest
    after = await at(database, "customers", "0003")
    assert after.digest != before.digest
    done = await at(database, "customers", "head")
    assert done.revisions == []


async def test_a_revision_of_a_later_release_is_one_line(database: str) -> None:
    await at(database, "customers", "head")
    connection = await asyncpg.connect(plain(database))
    await connection.execute("UPDATE alembic_version SET version_num = '9999'")
    await connection.close()

    with pytest.raises(StartFailure, match="customers is at revision 9999, which this code does"):
        await pending("customers", plain(database))


async def test_a_server_that_is_away_is_one_line(database: str) -> None:
    with pytest.raises(StartFailure, match=r"no database answers at 127\.0\.0\.1:1"):
        await pending("customers", "postgresql://me:secret@127.0.0.1:1/x")
    wanted = await at(database, "customers", "0002")
    with pytest.raises(StartFailure, match=r"no database answers at 127\.0\.0\.1:1"):
        await play(wanted, "postgresql://me:secret@127.0.0.1:1/x")
