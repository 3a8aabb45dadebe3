"""Each staged event names the cause of the current work: an event or a request."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

_cause: ContextVar[str | None] = ContextVar("cause", default=None)


@contextmanager
def caused_by(identifier: str) -> Iterator[None]:
    """Give events staged inside `identifier` as their CloudEvents `causationid`."""
    token = _cause.set(identifier)
    try:
        yield
    finally:
        _cause.reset(token)


def current_cause() -> str | None:
    return _cause.get()
