"""Two roles may observe the server: its exporter, and the application that shows slow statements.

pg_stat_statements keeps the text of statements, with parameters in place of values, but statements
that change roles keep their passwords: they are not recorded, and recorded ones are deleted.
"""

import logging
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field

import asyncpg

EXTENSION = "pg_stat_statements"
FORGET_PASSWORDS = r"""
SELECT pg_stat_statements_reset(userid, dbid, queryid)
FROM pg_stat_statements WHERE query ~* '\mpassword\M'
"""
LIMITS = {"default_transaction_read_only": "on", "statement_timeout": "10s", "lock_timeout": "1s"}
CONNECTIONS = 20
"""The exporter has one connection for each database, and briefly a second one."""

SLOW_STATEMENTS = """
CREATE OR REPLACE FUNCTION operations.slow_statements()
RETURNS TABLE (database text, statement text, calls bigint, seconds float8, rows bigint)
LANGUAGE sql STABLE SECURITY DEFINER SET search_path = pg_catalog, operations, pg_temp
AS $$
    SELECT database.datname::text, each.query, each.calls, each.total_exec_time / 1000, each.rows
    FROM pg_stat_statements AS each
    JOIN pg_database AS database ON database.oid = each.dbid
    JOIN pg_roles AS role ON role.oid = each.userid
    WHERE role.rolname = database.datname || '_app' AND each.calls > 0
    ORDER BY each.total_exec_time / each.calls DESC
    LIMIT 200
$$
"""
"""It shows only statements of the services' own roles, because these come from the code. Statements
that people write into a form run as another role.
"""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class ExporterAccount:
    """This account sees the statistics of the whole server, and no row of any table."""

    name: str
    password: str = field(repr=False)


async def record_no_passwords(connection: asyncpg.Connection) -> None:
    """Record no passwords in this session from now on, whatever the server's settings say."""
    with suppress(asyncpg.InsufficientPrivilegeError):
        await connection.execute("SET pg_stat_statements.track_utility = off")


async def forget_passwords(connection: asyncpg.Connection) -> None:
    """Delete such statements that were recorded before."""
    with suppress(
        asyncpg.ObjectNotInPrerequisiteStateError,
        asyncpg.UndefinedTableError,
        asyncpg.InsufficientPrivilegeError,
    ):
        await connection.execute(FORGET_PASSWORDS)


async def provision_exporter(
    connection: asyncpg.Connection, account: ExporterAccount, databases: Sequence[str]
) -> None:
    """Create the exporter's role. `connection` is a superuser's, to any database."""
    role = account.name
    if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", role):
        await connection.execute(f"CREATE ROLE {role}")
    secret = await connection.fetchval("SELECT quote_literal($1)", account.password)
    await connection.execute(
        f"ALTER ROLE {role} LOGIN PASSWORD {secret} CONNECTION LIMIT {CONNECTIONS}"
    )
    for name, value in LIMITS.items():
        await connection.execute(f"ALTER ROLE {role} SET {name} = '{value}'")
    await connection.execute(f"GRANT pg_monitor TO {role}")
    await connection.execute(f"GRANT CONNECT ON DATABASE {', '.join(databases)} TO {role}")


async def provide_statements(connection: asyncpg.Connection) -> bool:
    """Return whether the server measures statements: it has the extension, and the role of
    `connection` may create it. The log says where it does not.
    """
    found = await connection.fetchval(
        "SELECT 1 FROM pg_available_extensions WHERE name = $1", EXTENSION
    )
    if not found:
        log.warning("the server does not bring %s: no statement is measured", EXTENSION)
        return False
    if not await _made(connection, "public"):
        return False
    await forget_passwords(connection)
    return True


async def provide_slow_statements(connection: asyncpg.Connection, service: str) -> None:
    """Let the service's application call `operations.slow_statements()`, unless the role of
    `connection`, which is to the service's database, may not create the extension.
    """
    await connection.execute("CREATE SCHEMA IF NOT EXISTS operations")
    if not await _made(connection, "operations"):
        return
    await connection.execute(
        f"""
        {SLOW_STATEMENTS};
        REVOKE ALL ON FUNCTION operations.slow_statements() FROM PUBLIC;
        GRANT USAGE ON SCHEMA operations TO {service}_app;
        GRANT EXECUTE ON FUNCTION operations.slow_statements() TO {service}_app;
        """
    )


async def _made(connection: asyncpg.Connection, schema: str) -> bool:
    """Create the extension where this role may do that. Returns whether it is in this database."""
    try:
        await connection.execute(f"CREATE EXTENSION IF NOT EXISTS {EXTENSION} SCHEMA {schema}")
    except asyncpg.InsufficientPrivilegeError:
        log.warning("this role may not make %s: no statement is measured", EXTENSION)
        return False
    return True
