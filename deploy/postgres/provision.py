"""Provisioning creates a database per service and the three roles on it. Running it again changes
only passwords.

- `SERVICE_owner` cannot log in; the database and everything in it belong to it.
- `SERVICE_migrator` changes the schema, always as the owner.
- `SERVICE_app` reads and writes rows, of later tables too, and changes nothing else.
- `SERVICE_reader`, where a service has one: see `reader.py`.
- The exporter's role, on the whole server: see `watching.py`.

Everybody else (PUBLIC) has no privilege, not even to connect.

The administrator of a cloud's server is no superuser. That role becomes a member of each owner, and
steps that need a superuser are left out: a warning names them.
"""

import logging
import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import asyncpg

from deploy.postgres.reader import provision_reader
from deploy.postgres.watching import (
    ExporterAccount,
    provide_slow_statements,
    provide_statements,
    provision_exporter,
    record_no_passwords,
)

LOCK = "hashtext('provision')"
IDENTIFIER = re.compile(r"[a-z][a-z0-9_]{0,50}")


log = logging.getLogger(__name__)


@dataclass(frozen=True)
class DatabaseAccounts:
    """One service has these accounts; its database has its name. An account that `shows_statements`
    may read which statements of the whole server are slow.
    """

    service: str
    migrator_password: str = field(repr=False)
    app_password: str = field(repr=False)
    reader_password: str | None = field(default=None, repr=False)
    shows_statements: bool = False


@dataclass(frozen=True)
class ReplicationAccount:
    """This role copies the whole server, and reads only the server's state through SQL."""

    name: str
    password: str = field(repr=False)


async def provision(
    admin_url: str,
    accounts: Sequence[DatabaseAccounts],
    exporter: ExporterAccount | None = None,
    replication: ReplicationAccount | None = None,
) -> None:
    """Create the databases and roles of these services. `admin_url` is that of a superuser, or of a
    role that may create roles and databases.

    Raises ValueError for a name that cannot be a role's.
    """
    for account in accounts:
        if not IDENTIFIER.fullmatch(account.service):
            raise ValueError(f"{account.service!r} cannot name a database")
    connection = await asyncpg.connect(admin_url)
    try:
        await record_no_passwords(connection)
        # Processes provision one after the other: Postgres fails where two sessions change the
        # privileges of one object at once.
        if not await connection.fetchval(f"SELECT pg_try_advisory_lock({LOCK})"):
            log.warning("another process provisions this server: waiting until it has finished")
            await connection.execute(f"SELECT pg_advisory_lock({LOCK})")
        superuser = await _is_superuser(connection)
        if superuser:  # every server has these two, open to everybody who can log in
            await connection.execute("REVOKE ALL ON DATABASE postgres, template1 FROM PUBLIC")
        measured = await provide_statements(connection)
        if replication is not None and superuser:
            await _make_replication_role(connection, replication)
        for account in accounts:
            await _make_roles(connection, account, superuser=superuser)
            await _make_database(connection, account.service)
        for account in accounts:
            await _grant(admin_url, account, measured=measured, superuser=superuser)
        if exporter is not None and superuser:
            databases = ["postgres", *(account.service for account in accounts)]
            await provision_exporter(connection, exporter, databases)
    finally:
        await connection.close()


async def _is_superuser(connection: asyncpg.Connection) -> bool:
    superuser = await connection.fetchval(
        "SELECT rolsuper FROM pg_roles WHERE rolname = current_user"
    )
    if not superuser:
        log.warning(
            "%s is no superuser: there is no role for an exporter or for backups, "
            "and readers keep the functions that everybody may call",
            await connection.fetchval("SELECT current_user"),
        )
    return bool(superuser)


async def _make_replication_role(
    connection: asyncpg.Connection, account: ReplicationAccount
) -> None:
    name = account.name
    if not await connection.fetchval("SELECT 1 FROM pg_roles WHERE rolname = $1", name):
        await connection.execute(f"CREATE ROLE {name}")
    secret = await connection.fetchval("SELECT quote_literal($1)", account.password)
    await connection.execute(f"ALTER ROLE {name} LOGIN REPLICATION PASSWORD {secret}")
    await connection.execute(f"GRANT CONNECT ON DATABASE postgres TO {name}")
    await connection.execute(f"GRANT pg_read_all_stats TO {name}")  # sizes of databases


async def _make_roles(
    connection: asyncpg.Connection, account: DatabaseAccounts, *, superuser: bool
) -> None:
    service = account.service
    known = {row["rolname"] for row in await connection.fetch("SELECT rolname FROM pg_roles")}
    for role in (f"{service}_owner", f"{service}_migrator", f"{service}_app"):
        if role not in known:
            await connection.execute(f"CREATE ROLE {role}")
    await connection.execute(f"ALTER ROLE {service}_owner NOLOGIN")
    passwords = {"migrator": account.migrator_password, "app": account.app_password}
    for name, password in passwords.items():
        secret = await connection.fetchval("SELECT quote_literal($1)", password)
        await connection.execute(f"ALTER ROLE {service}_{name} LOGIN PASSWORD {secret}")
    await connection.execute(f"GRANT {service}_owner TO {service}_migrator")
    if not superuser:  # the administrator has to be a member of the owner to create its database
        await connection.execute(f"GRANT {service}_owner TO CURRENT_USER")
    # What the migrator creates belongs to the owner, so default privileges apply to it.
    await connection.execute(f"ALTER ROLE {service}_migrator SET role = '{service}_owner'")


async def _make_database(connection: asyncpg.Connection, service: str) -> None:
    if not await connection.fetchval("SELECT 1 FROM pg_database WHERE datname = $1", service):
        await connection.execute(f"CREATE DATABASE {service} OWNER {service}_owner")
    await connection.execute(f"REVOKE ALL ON DATABASE {service} FROM PUBLIC")
    await connection.execute(
        f"GRANT CONNECT ON DATABASE {service} TO {service}_migrator, {service}_app"
    )


async def _grant(
    admin_url: str, account: DatabaseAccounts, *, measured: bool, superuser: bool
) -> None:
    service = account.service
    owner, app = f"{service}_owner", f"{service}_app"
    by_default = f"ALTER DEFAULT PRIVILEGES FOR ROLE {owner}"
    connection = await asyncpg.connect(admin_url, database=service)
    try:
        await record_no_passwords(connection)
        await connection.execute(
            f"""
            REVOKE ALL ON SCHEMA public FROM PUBLIC;
            GRANT USAGE ON SCHEMA public TO {app};
            {by_default} REVOKE ALL ON FUNCTIONS FROM PUBLIC;
            {by_default} GRANT SELECT, INSERT, UPDATE, DELETE ON TABLES TO {app};
            {by_default} GRANT USAGE, SELECT ON SEQUENCES TO {app};
            {by_default} GRANT EXECUTE ON FUNCTIONS TO {app};
            """
        )
        if account.reader_password is not None:
            await provision_reader(
                connection, service, account.reader_password, superuser=superuser
            )
        if account.shows_statements and measured:
            await provide_slow_statements(connection, service)
    finally:
        await connection.close()
