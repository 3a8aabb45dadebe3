"""The pods of a new release wait for its migrations, because they start before the job is done."""

import asyncio
import signal
import sys
import time
from collections.abc import Callable

import asyncpg
from alembic.script import ScriptDirectory
from sqlalchemy import URL

from libs.messaging.database import DATABASE_ERRORS, connect, describe_refusal
from libs.messaging.database_url import DatabaseUrlError, Dsn
from libs.runtime.migration_plan import REVISION
from libs.runtime.migrations import configuration
from libs.runtime.settings import DatabaseSettings

LOOK_AGAIN_SECONDS = 2.0


def missing(service: str, revision: str | None) -> list[str]:
    """Return the migrations that a database at this revision has not had. None where this code does
    not know the revision: a later release has migrated it, and keeps what this release needs.

    Raises StartFailure for a service that has no migrations.
    """
    history = ScriptDirectory.from_config(configuration(service, URL.create("postgresql")))
    if revision is not None and revision not in {
        each.revision for each in history.walk_revisions()
    }:
        return []
    steps = history.iterate_revisions("head", revision or "base")
    return [each.revision for each in reversed(list(steps))]


async def revision_of(dsn: Dsn) -> str | None:
    """Return the database's revision; None where it is empty. Raises DATABASE_ERRORS."""
    connection = await connect(dsn, "wait for migrations")
    try:
        known = await connection.fetchval("SELECT to_regclass('alembic_version') IS NOT NULL")
        found: str | None = await connection.fetchval(REVISION) if known else None
        return found
    finally:
        await connection.close()


def wait(
    service: str,
    settings: DatabaseSettings,
    *,
    pause: Callable[[], None] = lambda: time.sleep(LOOK_AGAIN_SECONDS),
) -> None:
    """Wait until no migration is missing; report what is missing each time it changes."""
    # The first process of a container ignores signals that it does not handle.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    said = ""
    while reason := _reason(service, settings):
        if reason != said:
            print(f"waiting: {reason}", flush=True)
        said = reason
        pause()
    print(f"{service}: no migration is missing", flush=True)


def _reason(service: str, settings: DatabaseSettings) -> str | None:
    try:
        steps = missing(service, asyncio.run(revision_of(settings.current_dsn)))
    except asyncpg.InsufficientPrivilegeError as error:  # the job has not granted it yet
        return str(error)
    except (DatabaseUrlError, *DATABASE_ERRORS) as error:
        return describe_refusal(error, settings.now().database_place)
    return f"{service} has not had {', '.join(steps)}" if steps else None
