"""Plain asyncpg connections for what works beside the business transactions."""

from typing import TypeAlias

import asyncpg

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

DATABASE_ERRORS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""A database that is away, restarting, or refuses: worth trying again."""


async def connect(dsn: str, name: str, *, statement_cache: int = 0) -> Connection:
    """`statement_cache` 0 works behind PgBouncer in transaction mode, and costs a round trip."""
    return await asyncpg.connect(
        dsn,
        timeout=5,
        command_timeout=60,
        statement_cache_size=statement_cache,
        server_settings={"application_name": name},
    )
