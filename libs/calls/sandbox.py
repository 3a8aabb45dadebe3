"""A sandbox stands in for an external system in every environment but production. It writes its own
books before it answers: a repeated key returns the first result, whatever process was killed in
between.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Executable
from sqlalchemy.ext.asyncio import AsyncEngine

NEVER = 2**31 - 1
"""Where `answered_on` is this number, a call is never answered."""


class Sandbox:
    """Every call of a `Sandbox` takes at least `latency` seconds."""

    def __init__(self, engine: AsyncEngine, *, latency: float = 0.0) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._latency = latency
        self._places = asyncio.Semaphore(2)  # leaves connections of the shared database to others

    async def _book(self, statement: Executable, values: Mapping[str, Any]) -> Any:
        """Return the row that a statement over the books returns, or None."""
        async with self._places, self._engine.connect() as connection:
            return (await connection.execute(statement, values)).first()

    async def _answer(self, calls: int, *, answered_on: int) -> None:
        """Calls before the number `answered_on` get no answer, so that their caller gives up."""
        await asyncio.sleep(self._latency)
        if calls < answered_on:
            await asyncio.Event().wait()
