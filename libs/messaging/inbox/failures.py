"""This module decides whether a failure is an error of the reaction or an infrastructure error. The
type of the exception is not enough: `open()` in a reaction and a lost connection both raise
OSError. The decision uses where the exception was raised, and the SQLSTATE of Postgres.
"""

import sys
import traceback

import asyncpg
from aio_pika.exceptions import AMQPError, ChannelInvalidStateError
from sqlalchemy.exc import DBAPIError, InterfaceError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from libs.kernel.errors import DomainError

BROKER_ERRORS = (AMQPError, ChannelInvalidStateError, OSError)
"""The broker is away, or a channel closed with its connection: it is worth trying again."""

RAW_DATABASE_ERRORS = (asyncpg.PostgresError, asyncpg.InterfaceError)
"""SQLAlchemy raises the driver's own errors while it sets up a new connection."""

_DATABASE_PACKAGES = frozenset({"asyncpg", "sqlalchemy"})
_PASSED_OVER = sys.stdlib_module_names | {"uvloop"}
"""Frames of this code are passed over: the database driver runs on it too."""

_INFRASTRUCTURE_CLASSES = frozenset(
    {
        "08",  # connection
        "40",  # rolled back: deadlock, serialization
        "53",  # out of memory, disk, connections
        "55",  # lock not available, object in use
        "57",  # shutting down, cancelled by a timeout
        "58",  # system error
    }
)
_INFRASTRUCTURE_STATES = frozenset(
    {
        "25006",  # read-only: a standby after a failover
        "25P03",  # the session ended for idling in a transaction
        "25P04",  # or because its transaction took too long
    }
)
_SERVER_CLASSES = frozenset({"53", "58"})
_BLOCKED_STATES = frozenset(
    {
        "57014",  # cancelled: over its time
        "25P03",
        "25P04",
    }
)


def is_infrastructure_error(error: BaseException) -> bool:
    """Return whether the database or the connection to it failed: a later try may succeed."""
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return True
    if isinstance(error, (DBAPIError, *RAW_DATABASE_ERRORS)):
        state = sqlstate(error)
        if state is None:
            return isinstance(error, (InterfaceError, asyncpg.InterfaceError))
        return state[:2] in _INFRASTRUCTURE_CLASSES or state in _INFRASTRUCTURE_STATES
    if isinstance(error, OSError):
        return came_from_database(error)
    return isinstance(error, PoolTimeout)


def is_of_the_whole_server(error: BaseException) -> bool:
    """Return whether Postgres serves nobody, because its disk or its memory is full."""
    return (sqlstate(error) or "")[:2] in _SERVER_CLASSES


def is_blocked(error: BaseException) -> bool:
    """Return whether this work alone waited too long, for example for a locked row."""
    state = sqlstate(error) or ""
    return state[:2] == "55" or state in _BLOCKED_STATES


def came_from_database(error: BaseException) -> bool:
    """Return whether the driver or SQLAlchemy raised `error`, or what they called of the standard
    library. The innermost frame that is no part of the standard library decides.
    """
    modules = [
        str(frame.f_globals.get("__name__", "")).partition(".")[0]
        for frame, _ in traceback.walk_tb(error.__traceback__)
    ]
    package = next((each for each in reversed(modules) if each not in _PASSED_OVER), None)
    return package in _DATABASE_PACKAGES


def sqlstate(error: BaseException) -> str | None:
    """Return the SQLSTATE of a database error, from SQLAlchemy or the driver; else None."""
    return getattr(getattr(error, "orig", error), "sqlstate", None)


def summarize(error: BaseException) -> str:
    """Say the failure in a few words without its values, which may be personal data."""
    text = type(error).__name__
    if isinstance(error, DomainError):
        return f"{text} ({error.code}): {error}"
    state = sqlstate(error)
    return f"{text} (SQLSTATE {state})" if state or isinstance(error, DBAPIError) else text


def describe(error: BaseException) -> str:
    """Say the failure in a few words, and its place in the code."""
    text = summarize(error)
    frames = traceback.extract_tb(error.__traceback__)
    ours = [frame for frame in frames if "site-packages" not in frame.filename] or frames
    if ours:
        text += f" in {ours[-1].name}, line {ours[-1].lineno} of {ours[-1].filename}"
    return text
