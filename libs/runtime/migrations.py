"""This module runs Alembic without an alembic.ini, with one history for each service.

    python -m libs.runtime.migrations SERVICE upgrade head

A service has its `metadata` and `versions` in `infrastructure/migrations`; `alembic/` beside this
module is the same for all. MIGRATOR_DATABASE_URL takes precedence over DATABASE_URL.

When several run at once on one database, one works and the others wait for it. Migrations connect
to Postgres directly: the lock and the role belong to the session, and PgBouncer in transaction mode
would give the session to others.
"""

import asyncio
import logging
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from pathlib import Path

import asyncpg
from alembic import context
from alembic.config import CommandLine, Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from pydantic import AliasChoices, Field
from sqlalchemy import URL, Connection, MetaData, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncConnection
from sqlalchemy.pool import NullPool

from libs.messaging.database import describe_refusal
from libs.messaging.database_url import plain_dsn
from libs.messaging.schema import partitions
from libs.runtime.database import engine_of
from libs.runtime.settings import DatabaseSettings, read_settings
from libs.runtime.start_failure import StartFailure, one_line_errors

LOCK = "hashtext('migrations')"
"""A migration holds the database's advisory lock of this number from before its first look."""
LOOK_AGAIN_SECONDS = 0.2

log = logging.getLogger(__name__)

ALEMBIC = Path(__file__).parent / "alembic"
SERVICES = Path(__file__).parents[2] / "services"
MIGRATIONS = "*/infrastructure/migrations/__init__.py"


class MigrationSettings(DatabaseSettings):
    """The URL is the migrator's own, else the service's."""

    database_url: str = Field(
        default="",
        repr=False,
        validation_alias=AliasChoices("migrator_database_url", "database_url"),
    )


Watch = Callable[[Connection], AbstractContextManager[object]]
IncludeName = Callable[[str | None, str, object], bool]


def run() -> None:
    """Connect, become the tables' owner and migrate: Alembic's env.py calls this.

    A service may have an `include_name` beside its `metadata`. Alembic calls it to leave out
    partitions, which no metadata holds.
    """
    chosen = context.config.attributes
    service = import_module(f"services.{chosen['service']}.infrastructure.migrations")
    include_name: IncludeName = getattr(service, "include_name", partitions.include_name)
    asyncio.run(_connect_and_migrate(chosen["url"], service.metadata, include_name))


async def _connect_and_migrate(url: URL, metadata: MetaData, include_name: IncludeName) -> None:
    engine = engine_of(plain_dsn(url), poolclass=NullPool)
    try:
        async with engine.connect() as connection:
            await _lock(connection)
            await connection.run_sync(_migrate, metadata, include_name)
    finally:
        await engine.dispose()


async def _lock(connection: AsyncConnection) -> None:
    """Wait until only this session migrates the database; the lock is released when the session
    ends. The lock is tried again and again. A statement that waits for it would keep a snapshot,
    and CREATE INDEX CONCURRENTLY in the other migration would wait for that snapshot.
    """
    waits = False
    while not await connection.scalar(text(f"SELECT pg_try_advisory_lock({LOCK})")):
        await connection.commit()
        if not waits:
            log.warning("another process migrates this database: waiting until it has finished")
        waits = True
        await asyncio.sleep(LOOK_AGAIN_SECONDS)
    await connection.commit()


def _migrate(connection: Connection, metadata: MetaData, include_name: IncludeName) -> None:
    _become_owner(connection)
    context.configure(
        connection=connection,
        target_metadata=metadata,
        include_name=include_name,
        compare_type=True,
        compare_server_default=True,
    )
    watch: Watch = context.config.attributes.get("watch") or nullcontext
    with watch(connection), context.begin_transaction():
        context.run_migrations()


def _become_owner(connection: Connection) -> None:
    """Take the role SERVICE_owner, so that SERVICE_migrator's tables belong to no login."""
    user = str(connection.scalar(text("SELECT current_user")))
    owner = user.removesuffix("_migrator") + "_owner"
    known = text("SELECT 1 FROM pg_roles WHERE rolname = :name AND pg_has_role(oid, 'MEMBER')")
    if user.endswith("_migrator") and connection.scalar(known, {"name": owner}):
        connection.exec_driver_sql(f'SET ROLE "{owner}"')
    connection.commit()


def configuration(service: str, url: URL) -> Config:
    """Return Alembic's configuration for one service. Raises StartFailure for an unknown one."""
    known = {path.parents[2].name: path.parent for path in SERVICES.glob(MIGRATIONS)}
    if service not in known:
        names = ", ".join(sorted(known))
        raise StartFailure(f"no service {service!r} with migrations; there are {names}")
    versions = known[service] / "versions"
    config = Config(attributes={"service": service, "url": url})
    for option, path in (("script_location", ALEMBIC), ("version_locations", versions)):
        config.set_main_option(option, str(path).replace("%", "%%"))
    config.set_main_option("path_separator", "os")
    return config


def _next_number(config: Config) -> str:
    """Return the id of a new migration: 0005 after 0004. Ids that are no numbers do not count."""
    known = (each.revision for each in ScriptDirectory.from_config(config).walk_revisions())
    return f"{max((int(each) for each in known if each.isdecimal()), default=0) + 1:04d}"


def migrate(service: str, url: URL, *arguments: str, watch: Watch | None = None) -> None:
    """Run one Alembic command, as in `migrate("orders", url, "upgrade", "head")`. The migrations
    run inside `watch`.
    """
    config = configuration(service, url)
    config.attributes["watch"] = watch
    line = CommandLine(prog=f"migrations {service}")
    options = line.parser.parse_args(["--raiseerr", *arguments])
    if not hasattr(options, "cmd"):
        raise StartFailure("say what to do: upgrade head, downgrade -1, history, current, check")
    if getattr(options, "rev_id", "") is None:
        options.rev_id = _next_number(config)
    config.cmd_opts = options
    try:
        line.run_cmd(config, options)
    except CommandError as error:
        raise StartFailure(f"{service}: {error}") from None
    except (OSError, DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StartFailure(describe_refusal(error, url)) from error


def main(arguments: Sequence[str]) -> None:
    logging.basicConfig(format="%(message)s")
    logging.getLogger("alembic.runtime.migration").setLevel(logging.INFO)
    with one_line_errors():
        if not arguments or arguments[0].startswith("-"):
            raise StartFailure("usage: python -m libs.runtime.migrations SERVICE COMMAND …")
        settings = read_settings(MigrationSettings)
        migrate(arguments[0], settings.database_place, *arguments[1:])


if __name__ == "__main__":
    main(sys.argv[1:])
