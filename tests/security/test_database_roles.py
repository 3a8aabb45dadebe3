"""Each service's role may read and write rows of its own migrated database, and nothing else."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from deploy.services import SERVICES
from tests.fixtures.whole_market import Databases

NAMES = [spec.name for spec in SERVICES]
READERS = [spec.name for spec in SERVICES if spec.has_reader]

RIGHTS = """
    SELECT relname, array_agg(held ORDER BY held) AS held
    FROM pg_class, unnest('{TRUNCATE,REFERENCES,TRIGGER,MAINTAIN}'::text[]) AS held
    WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
        AND has_table_privilege($1, oid, held)
    GROUP BY relname
"""
OWNED = """
    SELECT relname FROM pg_class WHERE relowner = $1::regrole
    UNION ALL SELECT proname FROM pg_proc WHERE proowner = $1::regrole
    UNION ALL SELECT nspname FROM pg_namespace WHERE nspowner = $1::regrole
    UNION ALL SELECT datname FROM pg_database WHERE datdba = $1::regrole
"""
POWERS = """
    SELECT rolsuper OR rolcreatedb OR rolcreaterole OR rolreplication OR rolbypassrls
    FROM pg_roles WHERE rolname = $1
"""
DEFINERS = """
    SELECT proname, coalesce(array_to_string(proconfig, ','), '') AS settings
    FROM pg_proc JOIN pg_namespace ON pg_namespace.oid = pronamespace
    WHERE prosecdef AND nspname = 'public'
"""


@pytest.fixture
async def database(databases: Databases, service: str) -> AsyncIterator[asyncpg.Connection]:
    """Yield a superuser's connection to the service's database."""
    connection = await asyncpg.connect(databases.superuser(service))
    yield connection
    await connection.close()


@pytest.fixture
async def app(databases: Databases, service: str) -> AsyncIterator[asyncpg.Connection]:
    """Yield a connection to the same database, as the service itself connects to it."""
    connection = await asyncpg.connect(databases.url(service))
    yield connection
    await connection.close()


each_service = pytest.mark.parametrize("service", NAMES)


@each_service
async def test_the_role_owns_nothing_and_has_no_power(
    databases: Databases, database: asyncpg.Connection, service: str
) -> None:
    role = f"{databases.name(service)}_app"
    assert await database.fetch(OWNED, role) == []
    assert await database.fetchval(POWERS, role) is False
    assert (
        await database.fetch("SELECT roleid FROM pg_auth_members WHERE member = $1::regrole", role)
        == []
    )
    assert await database.fetch(RIGHTS, role) == []
    for what, right in (("schema", "CREATE"), ("database", "CREATE"), ("database", "TEMPORARY")):
        name = "public" if what == "schema" else databases.name(service)
        query = f"SELECT has_{what}_privilege($1, $2, $3)"
        assert await database.fetchval(query, role, name, right) is False, (what, right)


@each_service
async def test_functions_that_run_as_their_owner_fix_their_search_path(
    database: asyncpg.Connection, service: str
) -> None:
    """Each SECURITY DEFINER function sets its search_path, so that a caller cannot
    replace what it calls.
    """
    for name, settings in await database.fetch(DEFINERS):
        assert "search_path" in settings, name


@each_service
@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TABLE mine ()",
        "CREATE TEMP TABLE mine ()",
        "CREATE FUNCTION mine() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE EXTENSION dblink",
        "ALTER TABLE outbox ADD mine int",
        "ALTER TABLE outbox DISABLE TRIGGER ALL",
        "DROP TABLE outbox",
        "TRUNCATE outbox",
        "DROP SCHEMA public CASCADE",
        "ALTER ROLE current_user SUPERUSER",
        "SET ROLE postgres",
        "SET SESSION AUTHORIZATION postgres",
        "COPY outbox TO '/tmp/stolen'",
        "COPY outbox TO PROGRAM 'cat'",
        "SELECT pg_read_file('/etc/passwd')",
        "SELECT pg_ls_dir('/')",
        "SELECT lo_import('/etc/passwd')",
        "SELECT lo_export(1, '/tmp/left')",
        "SELECT * FROM pg_authid",
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'postgres'",
    ],
)
async def test_nothing_but_rows_can_be_touched(app: asyncpg.Connection, statement: str) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        async with app.transaction():
            await app.execute(statement)


@each_service
async def test_no_neighbours_database_can_be_entered(databases: Databases, service: str) -> None:
    own = databases.url(service)
    neighbours = [databases.name(each) for each in NAMES if each != service]
    for name in [*neighbours, "postgres"]:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await asyncpg.connect(own.rpartition("/")[0] + f"/{name}")


@pytest.mark.parametrize("service", READERS)
async def test_a_reader_reads_what_is_published_and_writes_nowhere(
    databases: Databases, database: asyncpg.Connection, service: str
) -> None:
    role = f"{databases.name(service)}_reader"
    rights = await database.fetch(
        """
        SELECT relname, relkind, held
        FROM pg_class, unnest('{SELECT,INSERT,UPDATE,DELETE,TRUNCATE}'::text[]) AS held
        WHERE relnamespace = 'public'::regnamespace AND relkind IN ('r', 'p', 'v', 'm')
            AND has_table_privilege($1, oid, held)
        """,
        role,
    )
    assert {right["held"] for right in rights} <= {"SELECT"}
    assert await database.fetch(OWNED, role) == []
    assert await database.fetchval(POWERS, role) is False
