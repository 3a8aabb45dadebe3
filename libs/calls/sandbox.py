"""A substitute for an external system, used in every environment but production. It keeps its own
books, written before it answers: a repeated key returns the first result, whatever process was
killed in between.
"""

import asyncio
from collections.abc import Mapping
from typing import Any

from sqlalchemy import Executable
from sqlalchemy.ext.asyncio import AsyncEngine

NEVER = 2**31 - 1
"""The number of a call that is never made."""


class Sandbox:
    """`latency` is in seconds, for every call."""

    def __init__(self, engine: AsyncEngine, *, latency: float = 0.0) -> None:
        self._engine = engine.execution_options(isolation_level="AUTOCOMMIT")
        self._latency = latency
        self._places = asyncio.Semaphore(2)  # leaves connections of the shared database to others

    async def _book(self, statement: Executable, values: Mapping[str, Any]) -> Any:
        """The row that a statement over the books returns, or None."""
        async with self._places, self._engine.connect() as connection:
            return (await connection.execute(statement, values)).first()

    async def _answer(self, calls: int, *, answered_on: int) -> None:
        """Calls before that number get no answer, so the caller gives up after its patience."""
        await asyncio.sleep(self._latency)
        if calls < answered_on:
            await asyncio.Event().wait()
