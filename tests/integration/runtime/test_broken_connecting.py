"""A connection that breaks while it is set up is answered 503, like any other failure
of the database.
"""

from collections.abc import Callable
from typing import Any

import asyncpg
import pytest

from libs.messaging.inbox.failures import is_infrastructure_error
from tests.fixtures.services import ServiceClient


async def test_a_connection_that_breaks_while_it_is_set_up_is_503(
    notes: ServiceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    await notes.service.transactions.engine.dispose()  # the next request makes a new connection
    with monkeypatch.context() as broken:
        broken.setattr(asyncpg.Connection, "set_type_codec", _after(asyncpg.Connection.terminate))
        answer = await notes.post("/notes", json={"text": "milk"})

    assert answer.status_code == 503
    assert int(answer.headers["Retry-After"]) >= 1
    assert (await notes.post("/notes", json={"text": "milk"})).status_code == 201


@pytest.mark.parametrize(
    ("error", "infrastructure"),
    [
        (asyncpg.InterfaceError("connection is closed"), True),
        (asyncpg.AdminShutdownError("terminating connection"), True),
        (asyncpg.CannotConnectNowError("starting up"), True),
        (asyncpg.UndefinedTableError("no such table"), False),
    ],
    ids=["closed", "shutdown", "starting", "our own fault"],
)
def test_the_drivers_own_errors_are_distinguished(
    error: Exception, *, infrastructure: bool
) -> None:
    assert is_infrastructure_error(error) == infrastructure


def _after(cut: Callable[[Any], None]) -> Callable[..., Any]:
    """Return `set_type_codec` for a connection that is cut just before."""
    original = asyncpg.Connection.set_type_codec

    async def cut_and_set(self: Any, *arguments: Any, **named: Any) -> None:
        cut(self)
        await original(self, *arguments, **named)

    return cut_and_set
