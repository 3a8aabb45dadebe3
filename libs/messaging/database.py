"""Plain asyncpg connections for what works beside the business transactions."""

from typing import TypeAlias

import asyncpg

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

DATABASE_ERRORS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""A database that is away, restarting, or refuses: worth trying again."""


COMMAND_SECONDS = 15
"""As long as Postgres lets a relay's transaction rest: a connection this silent is half-open."""


async def connect(dsn: str, name: str, *, statement_cache: int = 0) -> Connection:
    """`statement_cache` 0 works behind PgBouncer in transaction mode, and costs a round trip."""
    return await asyncpg.connect(
        dsn,
        timeout=5,
        command_timeout=COMMAND_SECONDS,
        statement_cache_size=statement_cache,
        server_settings={"application_name": name},
    )
