"""Whose fault a failure is: the servers' (wait and try again) or the work's own (give it up)."""

import traceback

import asyncpg
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from libs.kernel.errors import DomainError

BROKER_ERRORS = (AMQPError, ChannelInvalidStateError, OSError)
"""A broker that is away, or a channel that went with its connection: worth trying again."""

RAW_DATABASE_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError)
"""The driver's own: SQLAlchemy lets them through from where it sets a new connection up."""

_TROUBLE_CLASSES = frozenset(
    {
        "08",  # connection
        "40",  # rolled back: deadlock, serialization
        "53",  # out of memory, disk, connections
        "55",  # lock not available, object in use
        "57",  # shutting down, cancelled by a timeout
        "58",  # system error
    }
)
_TROUBLE_STATES = frozenset(
    {
        "25006",  # read-only: a standby after a failover
        "25P03",  # the session ended for idling in a transaction
        "25P04",  # or because its transaction took too long
    }
)


def is_trouble(error: BaseException) -> bool:
    """The database or the network failed, not the work: the same work may succeed later."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    if isinstance(error, (DBAPIError, *RAW_DATABASE_ERRORS)):
        state = sqlstate(error)
        if state is None:
            return isinstance(error, (InterfaceError, asyncpg.InterfaceError))
        return state[:2] in _TROUBLE_CLASSES or state in _TROUBLE_STATES
    return isinstance(error, (OSError, PoolTimeout))


def sqlstate(error: BaseException) -> str | None:
    """Of an error of the database, as SQLAlchemy or the driver raises it."""
    return getattr(getattr(error, "orig", error), "sqlstate", None)


def describe(error: BaseException) -> str:
    """The failure in one line without its values: messages of errors may hold personal data."""
    text = type(error).__name__
    if isinstance(error, DomainError):
        text += f" ({error.code}): {error}"
    elif isinstance(error, DBAPIError):
        text += f" (SQLSTATE {sqlstate(error)})"
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    if ours:
        text += f" in {ours[-1].name}, line {ours[-1].lineno} of {ours[-1].filename}"
    return text
