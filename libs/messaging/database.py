"""Services, migrations and command lines all connect to the database through this module, which
also explains failures.
"""

import asyncio
import ssl
from typing import Any, TypeAlias

import asyncpg
from sqlalchemy import URL
from sqlalchemy.exc import DBAPIError

from libs.messaging.database_url import (
    SENT_TO_THE_SERVER,
    SYSTEM,
    Dsn,
    hosts_of,
    parse_database_url,
    place_of,
    plain_dsn,
    unreadable_file,
)

Connection: TypeAlias = "asyncpg.Connection[asyncpg.Record]"

DATABASE_ERRORS = (OSError, TimeoutError, asyncpg.PostgresError, asyncpg.InterfaceError)
"""A database that is away, restarts or refuses raises these errors. It is worth trying again."""


CONNECT_SECONDS = 5.0
"""Each host has this time, unless the URL has `connect_timeout`."""

PASSWORD_PAUSES = (0.05, 0.1, 0.2, 0.3, 0.5)

COMMAND_SECONDS = 15
"""Postgres lets a relay's transaction be idle for this long. A connection that is silent for as
long is half-open.
"""

VANISHED_CLIENT = {
    "tcp_keepalives_idle": "5s",
    "tcp_keepalives_interval": "5s",
    "tcp_keepalives_count": "3",
    "tcp_user_timeout": "20s",
    "client_connection_check_interval": "5s",
}
"""The server frees the locks of a client whose machine or network is gone within about 20 seconds,
or 25 when it was at work on a statement: TCP notices the loss, and a statement at work asks TCP
every five seconds. On a Unix socket the settings of TCP have no effect. A proxy or a PgBouncer that
keeps its own connection to the server open hides from it that the client has vanished.
"""


NOT_THIS_HOST = (
    OSError,
    TimeoutError,
    asyncpg.CannotConnectNowError,
    asyncpg.TargetServerAttributeNotMatched,
)
"""After these errors the next host of the list is tried."""


async def connect(dsn: Dsn, name: str, *, statement_cache: int = 0) -> Connection:
    """Open a connection. `statement_cache` 0 works behind PgBouncer in transaction mode, and costs
    a round trip. Above 0 the connection is a direct one: its session has settings of its own.
    """
    return await open_connection(
        dsn,
        command_timeout=COMMAND_SECONDS,
        statement_cache_size=statement_cache,
        server_settings={
            "application_name": name,
            **(VANISHED_CLIENT if statement_cache else {}),
        },
    )


async def open_connection(
    dsn: Dsn, *, server_settings: dict[str, str] | None = None, **options: Any
) -> Connection:
    """Connect to the first host that answers as `target_session_attrs` asks. Each host has its own
    time: asyncpg counts one time for all, and a first host that is silent would use it up.
    `options` are asyncpg's; what the URL says goes before `server_settings`.

    A `dsn` that is read anew may be ahead of the server, or behind it, while its password is being
    changed: a refusal is then tried again for about a second.

    Raises DatabaseUrlError, or one of DATABASE_ERRORS: that of the last host, where all fail.
    """
    pauses = () if isinstance(dsn, str) else PASSWORD_PAUSES
    for pause in pauses:
        try:
            return await _open(dsn, server_settings or {}, options)
        except asyncpg.PostgresError as error:
            if not _is_password_refused(error):
                raise
            await asyncio.sleep(pause)
    return await _open(dsn, server_settings or {}, options)


def _is_password_refused(error: asyncpg.PostgresError) -> bool:
    """Return whether the password is refused. PgBouncer reports it as a protocol violation."""
    if isinstance(error, asyncpg.ProtocolViolationError):
        return "authentication failed" in str(error)
    return isinstance(error, asyncpg.InvalidPasswordError)


async def _open(dsn: Dsn, server_settings: dict[str, str], options: dict[str, Any]) -> Connection:
    url = parse_database_url(dsn if isinstance(dsn, str) else dsn())
    query = dict(url.query)
    sent = {name: str(query.pop(name)) for name in SENT_TO_THE_SERVER if name in query}
    seconds = float(str(query.pop("connect_timeout", CONNECT_SECONDS)))
    query.pop("channel_binding", None)  # "prefer" and "disable" are what the driver does anyway
    options = {**options, "server_settings": {**server_settings, **sent}}
    if query.get("sslrootcert") == SYSTEM:
        options["ssl"] = _trusting_the_system(query)
    attributes = str(query.pop("target_session_attrs", "any"))
    # A standby of any host comes before another server of any host.
    turns = ("standby", "any") if attributes == "prefer-standby" else (attributes,)
    places = hosts_of(url)
    if places[0][0] is not None:  # the driver takes the rest from its environment
        query = {name: value for name, value in query.items() if name not in ("host", "port")}
    bare = plain_dsn(url.set(host=None, port=None, query=query))
    error: Exception | None = None
    for wanted in turns:
        for host, port in places:
            options["target_session_attrs"] = wanted
            try:
                return await asyncpg.connect(bare, host=host, port=port, timeout=seconds, **options)
            except NOT_THIS_HOST as failure:
                error = failure
    raise error or ValueError("the URL names no host")


def _trusting_the_system(query: dict[str, Any]) -> ssl.SSLContext:
    """Take `sslrootcert=system` out of `query`: asyncpg would read it as a file."""
    context = ssl.create_default_context()
    del query["sslrootcert"], query["sslmode"]
    if certificate := query.pop("sslcert", None):
        context.load_cert_chain(str(certificate), query.pop("sslkey", None))
    return context


def describe_refusal(error: Exception, url: URL) -> str:
    """Say what an error of connecting means for the operator, in one line without the password."""
    place = place_of(url)
    cause = error.orig if isinstance(error, DBAPIError) else error
    state = getattr(cause, "sqlstate", None) or ""
    if state.startswith("28"):
        return f"the database at {place} refuses the user {url.username} or its password"
    if state == "3D000":
        return f"the database {url.database} does not exist at {place}"
    if isinstance(cause, ssl.SSLCertVerificationError):
        return f"the certificate of the database at {place} is not accepted: {cause.verify_message}"
    if isinstance(cause, OSError) and (file := unreadable_file(url.query)):
        return file
    if isinstance(cause, ssl.SSLError):
        reason = cause.reason or cause
        return f"no TLS with the database at {place}: {reason} (see sslrootcert, sslcert, sslkey)"
    if isinstance(cause, TimeoutError):
        return f"no database answers at {place}: no answer in time"
    if isinstance(cause, OSError):
        reason = cause.strerror or str(cause) or type(cause).__name__
        return f"no database answers at {place}: {reason}"
    return f"the database at {place} answers: {cause}"


def limits_transactions(connection: Connection) -> bool:
    """Return whether the server knows `transaction_timeout`: Postgres 17 and newer do."""
    return connection.get_server_version() >= (17,)
