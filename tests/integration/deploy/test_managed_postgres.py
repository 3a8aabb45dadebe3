"""Provisioning works on a cloud's server, whose administrator is no superuser: the administrator
makes roles and databases, and owns nothing else.
"""

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest

from deploy.postgres.provision import DatabaseAccounts, provision
from deploy.postgres.watching import ExporterAccount
from tests.fixtures.servers import PostgresServer

SECRET = "secret"


@dataclass(frozen=True)
class Managed:
    """`server` is the superuser's URL, and `admin_url` the administrator's."""

    server: str
    service: str

    def url(self, role: str, database: str) -> str:
        place = urlsplit(self.server)
        netloc = f"{role}:{SECRET}@{place.hostname}:{place.port}"
        return urlunsplit(place._replace(netloc=netloc, path=database))

    @property
    def admin_url(self) -> str:
        return self.url(f"admin_{self.service}", "postgres")

    @property
    def account(self) -> DatabaseAccounts:
        return DatabaseAccounts(self.service, SECRET, SECRET, SECRET, shows_statements=True)


@pytest.fixture
async def managed(postgres_server: PostgresServer) -> AsyncIterator[Managed]:
    made = Managed(postgres_server.url, f"managed_{uuid.uuid4().hex[:8]}")
    service, admin = made.service, f"admin_{made.service}"
    superuser = await asyncpg.connect(postgres_server.url)
    try:
        await superuser.execute(
            f"CREATE ROLE {admin} LOGIN CREATEROLE CREATEDB PASSWORD '{SECRET}';"
            f"GRANT CONNECT ON DATABASE postgres TO {admin};"
            # Only a superuser may make it. The databases of the services still lack it.
            "CREATE EXTENSION IF NOT EXISTS pg_stat_statements"
        )
        yield made
    finally:
        await superuser.execute(f"DROP DATABASE IF EXISTS {service} WITH (FORCE)")
        for role in ("reader", "app", "migrator", "owner"):
            await superuser.execute(f"DROP ROLE IF EXISTS {service}_{role}")
        await superuser.execute(f"DROP OWNED BY {admin}; DROP ROLE {admin}")
        await superuser.close()


async def test_an_administrator_without_superpowers_makes_databases_and_roles_twice(
    managed: Managed,
) -> None:
    for _ in range(2):
        await provision(managed.admin_url, [managed.account])
    service = managed.service
    migrator = await asyncpg.connect(managed.url(f"{service}_migrator", service))
    try:
        await migrator.execute("CREATE TABLE rows (id serial PRIMARY KEY, what text)")
        await migrator.execute("CREATE VIEW published.whats AS SELECT what FROM public.rows")
    finally:
        await migrator.close()
    app = await asyncpg.connect(managed.url(f"{service}_app", service))
    try:
        await app.execute("INSERT INTO rows (what) VALUES ('a')")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute("DROP TABLE rows")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute("CREATE TABLE others ()")
    finally:
        await app.close()


async def test_its_reader_reads_views_within_its_limits_and_no_table(managed: Managed) -> None:
    await provision(managed.admin_url, [managed.account])
    service = managed.service
    migrator = await asyncpg.connect(managed.url(f"{service}_migrator", service))
    try:
        await migrator.execute("CREATE TABLE rows (what text); INSERT INTO rows VALUES ('a')")
        await migrator.execute("CREATE VIEW published.whats AS SELECT what FROM public.rows")
    finally:
        await migrator.close()
    reader = await asyncpg.connect(managed.url(f"{service}_reader", service))
    try:
        assert await reader.fetchval("SELECT what FROM published.whats") == "a"
        assert await reader.fetchval("SHOW statement_timeout") == "5s"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await reader.fetchval("SELECT what FROM public.rows")
        with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
            await reader.execute("CREATE TEMP TABLE t ()")
    finally:
        await reader.close()


async def test_statements_that_only_a_superuser_may_run_are_left_out_and_reported(
    managed: Managed, caplog: pytest.LogCaptureFixture
) -> None:
    exporter = ExporterAccount(f"exporter_{managed.service}", SECRET)
    await provision(managed.admin_url, [managed.account], exporter)
    told = [each.getMessage() for each in caplog.records if "superuser" in each.getMessage()]
    assert told == [
        f"admin_{managed.service} is no superuser: there is no role for an exporter or for "
        "backups, and readers keep the functions that everybody may call"
    ]
    superuser = await asyncpg.connect(managed.server)
    try:
        assert not await superuser.fetchval(
            "SELECT 1 FROM pg_roles WHERE rolname = $1", exporter.name
        )
    finally:
        await superuser.close()


async def test_strangers_cannot_connect_to_a_database_that_it_made(managed: Managed) -> None:
    await provision(managed.admin_url, [managed.account])
    superuser = await asyncpg.connect(managed.server)
    stranger = f"stranger_{managed.service}"
    try:
        await superuser.execute(f"CREATE ROLE {stranger} LOGIN PASSWORD '{SECRET}'")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await asyncpg.connect(managed.url(stranger, managed.service))
    finally:
        await superuser.execute(f"DROP ROLE IF EXISTS {stranger}")
        await superuser.close()
