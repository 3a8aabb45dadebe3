import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import replace
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from deploy.postgres.provision import DatabaseAccounts, provision
from deploy.postgres.watching import ExporterAccount
from tests.fixtures.polling import eventually
from tests.fixtures.servers import PostgresServer


def connected(
    server: PostgresServer, database: str, role: str
) -> AbstractAsyncContextManager[asyncpg.Connection]:
    @asynccontextmanager
    async def connection() -> AsyncIterator[asyncpg.Connection]:
        place = urlsplit(server.url)
        netloc = f"{role}:secret@{place.hostname}:{place.port}"
        opened = await asyncpg.connect(urlunsplit(place._replace(netloc=netloc, path=database)))
        try:
            yield opened
        finally:
            await opened.close()

    return connection()


@pytest.fixture
async def services(postgres_server: PostgresServer) -> AsyncIterator[tuple[str, str]]:
    """Yield two provisioned services, each with a table that its migrator made."""
    async with accounts_of_two(postgres_server) as accounts:
        await provision(postgres_server.url, accounts)
        await provision(postgres_server.url, accounts)
        names = (accounts[0].service, accounts[1].service)
        for name in names:
            async with connected(postgres_server, name, f"{name}_migrator") as migrator:
                await migrator.execute("CREATE TABLE rows (id serial PRIMARY KEY, what text)")
        yield names


@asynccontextmanager
async def accounts_of_two(postgres_server: PostgresServer) -> AsyncIterator[list[DatabaseAccounts]]:
    """Yield accounts of two services to be provisioned. What is made for them is deleted later."""
    mark = uuid.uuid4().hex[:8]
    names = (f"first_test_{mark}", f"second_test_{mark}")
    try:
        yield [DatabaseAccounts(name, "secret", "secret") for name in names]
    finally:
        admin = await asyncpg.connect(postgres_server.url)
        for name in names:
            await admin.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
            for role in ("app", "migrator", "owner"):
                await admin.execute(f"DROP ROLE IF EXISTS {name}_{role}")
        await admin.close()


async def test_two_provisionings_at_once_both_succeed_and_one_waits(
    postgres_server: PostgresServer, caplog: pytest.LogCaptureFixture
) -> None:
    async with accounts_of_two(postgres_server) as accounts:
        await asyncio.gather(*(provision(postgres_server.url, accounts) for _ in range(2)))
        assert set(caplog.messages) == {WAITS}
        async with connected(postgres_server, accounts[0].service, f"{accounts[0].service}_app"):
            pass


WAITS = "another process provisions this server: waiting until it has finished"


async def test_application_reads_and_writes_rows_of_its_tables(
    postgres_server: PostgresServer, services: tuple[str, str]
) -> None:
    own, _ = services
    async with connected(postgres_server, own, f"{own}_app") as app:
        await app.execute("INSERT INTO rows (what) VALUES ('a')")
        await app.execute("UPDATE rows SET what = 'b'")
        assert await app.fetchval("SELECT what FROM rows") == "b"
        await app.execute("DELETE FROM rows")


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine ()",
        "CREATE TEMP TABLE mine ()",
        "CREATE SCHEMA mine",
        "DROP TABLE rows",
        "ALTER TABLE rows ADD mine int",
        "TRUNCATE rows",
        "SET ROLE {own}_owner",
    ],
)
async def test_application_cannot_change_the_schema(
    postgres_server: PostgresServer, services: tuple[str, str], statement: str
) -> None:
    own, _ = services
    async with connected(postgres_server, own, f"{own}_app") as app:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute(statement.format(own=own))


@pytest.mark.parametrize("role", ["app", "migrator"])
async def test_roles_of_one_service_cannot_enter_the_database_of_another(
    postgres_server: PostgresServer, services: tuple[str, str], role: str
) -> None:
    own, other = services
    for database in (other, "postgres", "template1"):
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            async with connected(postgres_server, database, f"{own}_{role}"):
                pass


async def test_tables_belong_to_the_owner_who_cannot_log_in(
    postgres_server: PostgresServer, services: tuple[str, str]
) -> None:
    own, _ = services
    async with connected(postgres_server, own, f"{own}_migrator") as migrator:
        owner = await migrator.fetchval("SELECT tableowner FROM pg_tables WHERE tablename = 'rows'")
        can_log_in = await migrator.fetchval(
            "SELECT rolcanlogin FROM pg_roles WHERE rolname = $1", owner
        )

    assert (owner, can_log_in) == (f"{own}_owner", False)


async def test_name_that_is_no_identifier_is_refused(postgres_server: PostgresServer) -> None:
    with pytest.raises(ValueError, match="cannot name a database"):
        await provision(postgres_server.url, [DatabaseAccounts('x"; DROP', "a", "b")])


async def recorded(postgres_server: PostgresServer, part: str) -> list[str]:
    """Return the statements with this part that pg_stat_statements keeps."""
    admin = await asyncpg.connect(postgres_server.url)
    try:
        found = await admin.fetch(
            "SELECT query FROM pg_stat_statements WHERE strpos(query, $1) > 0", part
        )
        return [row["query"] for row in found if "strpos" not in row["query"]]
    finally:
        await admin.close()


@asynccontextmanager
async def an_exporter(
    postgres_server: PostgresServer, password: str
) -> AsyncIterator[ExporterAccount]:
    """Yield an account, whose role is dropped afterwards."""
    account = ExporterAccount(f"exporter_{uuid.uuid4().hex[:8]}", password)
    try:
        yield account
    finally:
        admin = await asyncpg.connect(postgres_server.url)
        await admin.execute(f"DROP OWNED BY {account.name}; DROP ROLE {account.name}")
        await admin.close()


async def test_passwords_are_in_no_statement_that_the_server_keeps(
    postgres_server: PostgresServer,
) -> None:
    """This holds also where the server records all statements, and did so before."""
    mark = uuid.uuid4().hex
    records_all = f"{postgres_server.url}?pg_stat_statements.track_utility=on"
    async with accounts_of_two(postgres_server) as accounts:
        await provision(postgres_server.url, accounts[:1])
        admin = await asyncpg.connect(records_all)

        async def is_recorded() -> bool:
            """Return whether it is recorded. Another test that provisions the server deletes the
            record.
            """
            await admin.execute(f"ALTER ROLE {accounts[0].service}_app PASSWORD 'before-{mark}'")
            return bool(await recorded(postgres_server, mark))

        await eventually(is_recorded)
        await admin.close()

        with_passwords = [
            DatabaseAccounts(each.service, f"migrator-{mark}", f"app-{mark}") for each in accounts
        ]
        async with an_exporter(postgres_server, f"exporter-{mark}") as exporter:
            await provision(records_all, with_passwords, exporter)

            assert await recorded(postgres_server, mark) == []


async def test_the_exporter_sees_the_statistics_of_all_databases_and_no_row(
    postgres_server: PostgresServer, services: tuple[str, str]
) -> None:
    own, other = services
    accounts = [DatabaseAccounts(name, "secret", "secret") for name in services]
    async with an_exporter(postgres_server, "secret") as account:
        for _ in range(2):
            await provision(postgres_server.url, accounts, account)
        async with connected(postgres_server, other, f"{other}_app") as app:
            await app.fetchval("SELECT 'seen'")
            for database in ("postgres", own, other):
                async with connected(postgres_server, database, account.name) as exporter:
                    queries = await exporter.fetch("SELECT query FROM pg_stat_activity")
                    assert "SELECT 'seen'" in {row["query"] for row in queries}
                    with pytest.raises(asyncpg.PostgresError):
                        await exporter.execute("CREATE TABLE mine ()")
            async with connected(postgres_server, own, account.name) as exporter:
                size = "SELECT pg_table_size(oid) FROM pg_class WHERE relname = 'rows'"
                assert await exporter.fetchval(size) is not None
                with pytest.raises(asyncpg.InsufficientPrivilegeError):
                    await exporter.fetch("SELECT * FROM public.rows")


async def test_only_who_shows_statements_sees_them_and_only_those_of_the_services(
    postgres_server: PostgresServer,
) -> None:
    """The statement is slow, because the slowest come first on a server that other tests use."""
    mark = uuid.uuid4().hex[:8]
    slow = "FROM generate_series({}, {}) LIMIT {}"
    async with accounts_of_two(postgres_server) as accounts:
        shows, other = (each.service for each in accounts)
        accounts[0] = replace(accounts[0], shows_statements=True)
        for _ in range(2):
            await provision(postgres_server.url, accounts)
        for role in ("app", "migrator"):
            async with connected(postgres_server, other, f"{other}_{role}") as one:
                await one.fetch(
                    f"SELECT 'maria@example.com' AS {role}_{mark} {slow.format(1, 2_000_000, 1)}"
                )
        async with connected(postgres_server, shows, f"{shows}_app") as app:
            rows = await app.fetch(
                "SELECT * FROM operations.slow_statements() WHERE strpos(statement, $1) > 0", mark
            )
        assert [(row["database"], row["statement"], row["calls"], row["rows"]) for row in rows] == [
            (other, f"SELECT $1 AS app_{mark} {slow.format('$2', '$3', '$4')}", 1, 1)
        ]
        async with connected(postgres_server, other, f"{other}_app") as app:
            with pytest.raises(asyncpg.InvalidSchemaNameError):
                await app.fetch("SELECT * FROM operations.slow_statements()")
        async with connected(postgres_server, shows, f"{shows}_migrator") as migrator:
            with pytest.raises(asyncpg.InsufficientPrivilegeError):
                await migrator.fetch("SELECT * FROM operations.slow_statements()")
