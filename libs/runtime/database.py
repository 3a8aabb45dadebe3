"""The connection pool of a process, and what its troubles look like."""

import asyncpg
from sqlalchemy import URL, text
from sqlalchemy.exc import DBAPIError
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from libs.runtime.failure import StartFailure
from libs.runtime.settings import ServiceSettings

OVERFLOW = 5
CONNECT_SECONDS = 5.0
LOCK_TIMEOUT = "5s"
IDLE_IN_TRANSACTION_TIMEOUT = "30s"


def create_engine(settings: ServiceSettings) -> AsyncEngine:
    """asyncpg behind a pool of `pool_size` + 5 connections; nothing connects yet."""
    return create_async_engine(
        settings.asyncpg_url,
        pool_size=settings.pool_size,
        max_overflow=OVERFLOW,
        pool_timeout=30,
        pool_pre_ping=True,
        hide_parameters=True,
        connect_args={
            "timeout": CONNECT_SECONDS,
            "server_settings": {
                "application_name": f"{settings.service}-{settings.role}",
                "lock_timeout": LOCK_TIMEOUT,
                "idle_in_transaction_session_timeout": IDLE_IN_TRANSACTION_TIMEOUT,
                "jit": "off",
            },
        },
    )


async def ping(engine: AsyncEngine) -> None:
    """One round trip; raises what the database or the pool raises."""
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))


async def check_database(settings: ServiceSettings) -> None:
    """One round trip; raises StartFailure saying what is wrong, without the password."""
    engine = create_engine(settings)
    try:
        await ping(engine)
    except (OSError, DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StartFailure(describe(error, settings.asyncpg_url)) from None
    finally:
        await engine.dispose()


def describe(error: Exception, url: URL) -> str:
    """What an error of connecting means for the operator, in one line."""
    place = f"{url.host or 'the local socket'}:{url.port or 5432}"
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(cause, "sqlstate", None) or ""
    if state.startswith("28"):
        return f"the database at {place} refuses the user {url.username} or its password"
    if state == "3D000":
        return f"the database {url.database} does not exist at {place}"
    if isinstance(cause, OSError):
        return f"no database answers at {place}: {cause.strerror or type(cause).__name__}"
    return f"the database at {place} is not usable: {cause}"
