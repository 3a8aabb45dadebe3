"""Plain asyncpg connections for what works beside the business transactions."""

from typing import TypeAlias

import asyncpg

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

DATABASE_ERRORS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""A database that is away, restarting, or refuses: worth trying again."""


COMMAND_SECONDS = 15
"""As long as Postgres lets a relay's transaction rest: a connection this silent is half-open."""

VANISHED_CLIENT = {
    "tcp_keepalives_idle": "5s",
    "tcp_keepalives_interval": "5s",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "20s",
    "client_connection_check_interval": "5s",
}
"""The server frees the locks of a client whose machine or network is gone within about 20 seconds,
or 25 when it was at work on a statement: TCP finds out, and a statement at work looks there every
five seconds. Over a Unix socket TCP's part means nothing. Something in between that keeps its own
connection to the server open (a proxy, PgBouncer) hides a vanished client from all of this.
"""


async def connect(dsn: str, name: str, *, statement_cache: int = 0) -> Connection:
    """`statement_cache` 0 works behind PgBouncer in transaction mode, and costs a round trip. Above
    0 the connection is a direct one: its session has settings of its own.
    """
    return await asyncpg.connect(
        dsn,
        timeout=5,
        command_timeout=COMMAND_SECONDS,
        statement_cache_size=statement_cache,
        server_settings={
            "application_name": name,
            **(VANISHED_CLIENT if statement_cache else {}),
        },
    )


def limits_transactions(connection: Connection) -> bool:
    """Whether the server knows `transaction_timeout`: Postgres 17 and newer do."""
    return connection.get_server_version() >= (17,)
