"""This module makes a process's connection pool, which recognises failures of the database."""

import time
from collections.abc import Mapping
from functools import partial
from typing import Any, cast

import asyncpg
from sqlalchemy import Connection, event, text
from sqlalchemy.engine.interfaces import DBAPIConnection, ExceptionContext
from sqlalchemy.exc import DBAPIError, InvalidatePoolError
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine
from sqlalchemy.pool import ConnectionPoolEntry

from libs.messaging.database import (
    VANISHED_CLIENT,
    describe_refusal,
    limits_transactions,
    open_connection,
)
from libs.messaging.database import Connection as DriverConnection
from libs.messaging.database_url import Dsn
from libs.runtime.settings import ServiceSettings
from libs.runtime.start_failure import StartFailure

OVERFLOW = 5
RELAY_POOL = 2
"""A process that is only a relay has this many connections in its pool: it checks the database each
second, and the relay has its own connections.
"""
POOL_SECONDS = 30.0
IDLE_SECONDS = 1.0
"""A connection that was idle for longer is checked before it is used."""
STATEMENT_SECONDS = 10.0
"""A statement that takes longer is given up: a half-open connection shows no other sign."""
TRANSACTION_STATEMENTS = 4
"""A transaction may last as long as this many of the slowest statements."""
SESSION = {"lock_timeout": "2s", "idle_in_transaction_session_timeout": "30s", "jit": "off"}
READ_ONLY = "25006"
"""This is the SQLSTATE of a statement that would write in a transaction that only reads."""
NOTHING_PREPARED = {"statement_cache_size": 0, "prepared_statement_cache_size": 0}


def create_engine(
    settings: ServiceSettings, *, statement_seconds: float = STATEMENT_SECONDS
) -> AsyncEngine:
    """Return asyncpg behind a pool of `pool_size` + 5 connections, 2 where the process is a relay
    only; nothing connects yet. A statement that takes longer than `statement_seconds` raises
    TimeoutError.
    """
    direct = not settings.pgbouncer
    name = {"application_name": f"{settings.service}-{settings.role}"}
    longest = round(TRANSACTION_STATEMENTS * statement_seconds * 1000)
    engine = engine_of(
        settings.current_dsn,
        pool_size=RELAY_POOL if settings.role == "relay" else settings.pool_size,
        max_overflow=0 if settings.role == "relay" else OVERFLOW,
        pool_timeout=POOL_SECONDS,
        pool_use_lifo=True,  # few connections, with prepared statements
        options={
            "command_timeout": statement_seconds,
            "server_settings": name | (SESSION | VANISHED_CLIENT if direct else {}),
            **({} if direct else NOTHING_PREPARED),
        },
    )
    if direct:
        event.listen(engine.sync_engine, "connect", partial(_limit_transactions, longest))
    else:
        event.listen(engine.sync_engine, "begin", partial(_set_for_the_transaction, longest))
    event.listen(engine.sync_engine, "checkin", _note_time)
    event.listen(engine.sync_engine, "checkout", _ping_if_idle)
    event.listen(engine.sync_engine, "handle_error", _count_read_only_as_disconnected)
    if direct:
        event.listen(engine.sync_engine, "checkin", _replace_if_read_only)
    return engine


def engine_of(dsn: Dsn, options: Mapping[str, Any] | None = None, **pool: Any) -> AsyncEngine:
    """Return SQLAlchemy's engine over `open_connection`, which knows all that a URL may say and
    reads the current password. `options` are those of the connection.
    """
    return create_async_engine(
        "postgresql+asyncpg://",
        connect_args={"async_creator_fn": partial(open_connection, dsn), **(options or {})},
        hide_parameters=True,
        **pool,
    )


def _limit_transactions(longest: int, connection: Any, _: ConnectionPoolEntry) -> None:
    """Limit the time of each transaction. Between the parse and the bind of a statement Postgres
    does not count a transaction as idle; without a limit, the locks of a client that vanished at
    that moment, behind a proxy, would stay. `longest` is in milliseconds.
    """
    if limits_transactions(connection.driver_connection):
        statement = f"SET transaction_timeout = {longest}"
        connection.run_async(lambda driver: driver.execute(statement))


def _set_for_the_transaction(longest: int, connection: Connection) -> None:
    """Set the limits in each transaction, because PgBouncer may give each transaction another
    session.
    """
    driver: Any = connection.connection.driver_connection
    limit = {"transaction_timeout": longest} if limits_transactions(driver) else {}
    settings = ", ".join(
        f"set_config('{name}', '{value}', true)" for name, value in (SESSION | limit).items()
    )
    connection.exec_driver_sql(f"SELECT {settings}")


def _note_time(_: DBAPIConnection | None, record: ConnectionPoolEntry) -> None:
    record.info["idle_since"] = time.monotonic()


def _ping_if_idle(connection: Any, record: ConnectionPoolEntry, _: object) -> None:
    """Check a connection only if it was idle. SQLAlchemy's own pre-ping costs three round trips
    each time a connection is taken. Under load asyncpg already knows when a connection was closed.
    """
    since = record.info.get("idle_since")
    if since is None:
        return
    if connection.driver_connection.is_closed():
        raise InvalidatePoolError
    if time.monotonic() - since > IDLE_SECONDS:
        try:
            connection.ping()
        except Exception as error:
            raise InvalidatePoolError from error


def _replace_if_read_only(connection: Any, record: ConnectionPoolEntry) -> None:
    """Give a read-only session one request, and the next request a new connection: a session that
    began on a standby, or while the database was read-only, can stay read-only until it ends.
    Reading goes on meanwhile. (A PgBouncer has its own sessions, and reports what one of them was.)
    """
    if connection is not None and reports_read_only(connection.driver_connection):
        record.invalidate(soft=True)


def reports_read_only(connection: asyncpg.Connection) -> bool:
    """Return whether the server last reported that it is read-only. A proxy may hide that."""
    reported = connection.get_settings()
    return "on" in (
        getattr(reported, "in_hot_standby", "off"),
        getattr(reported, "default_transaction_read_only", "off"),
    )


def _count_read_only_as_disconnected(context: ExceptionContext) -> None:
    """Replace all connections that exist now before they are used again."""
    if getattr(context.original_exception, "sqlstate", None) == READ_ONLY:
        context.is_disconnect = True


async def ping(engine: AsyncEngine) -> None:
    """Make one round trip. Raises what the database or the pool raises."""
    async with engine.connect() as connection:
        await connection.execute(text("SELECT 1"))


async def driver_of(connection: AsyncConnection) -> DriverConnection:
    """Return the asyncpg connection below SQLAlchemy's, for work outside business transactions."""
    return cast("DriverConnection", (await connection.get_raw_connection()).driver_connection)


async def check_database(settings: ServiceSettings) -> None:
    """Make one round trip. Raises StartFailure, which says what is wrong, without the password."""
    engine = create_engine(settings)
    try:
        await ping(engine)
    except (OSError, DBAPIError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise StartFailure(describe_refusal(error, settings.database_place)) from None
    finally:
        await engine.dispose()
