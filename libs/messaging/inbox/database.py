"""This module tells the consuming side whether the database answers, and what time it is there."""

import asyncio
import math
import time
from datetime import datetime, timedelta

from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.kernel.clock import Clock, utc_now

ANSWER_SECONDS = 2.0
"""A database that needs longer than this for one row does not count as answering."""

TIME_IF_WRITABLE = text(
    "SELECT clock_timestamp() WHERE NOT current_setting('transaction_read_only')::boolean"
)


class Database:
    """The database's clock decides the age of messages: a wrong clock of this machine does not. The
    monotonic clock of this machine counts the time since the database's last answer.
    """

    def __init__(self, engine: AsyncEngine, *, clock: Clock = utc_now) -> None:
        self._engine = engine
        self._clock = clock
        self._answer = clock()
        self._answered_at = -math.inf

    async def answers(self, *, within: float = 0.0) -> bool:
        """Return whether the database answers within two seconds over the pool, and writes.

        An answer of the last `within` seconds counts. While it is read-only, as a standby is in a
        failover, the answer is False. The pool is used on purpose: an answer to a new connection is
        of no use while the pool holds dead ones.
        """
        if time.monotonic() - self._answered_at < within:
            return True
        try:
            async with asyncio.timeout(ANSWER_SECONDS), self._engine.connect() as connection:
                time_if_writable = await connection.scalar(TIME_IF_WRITABLE)
                if time_if_writable is None:
                    await connection.invalidate()  # a session may stay read-only until it ends
                    return False
        except Exception:  # whatever the error is, the database does not answer
            return False
        self._answer, self._answered_at = time_if_writable, time.monotonic()
        return True

    def now(self) -> datetime:
        """Return the database's time. Raises OverflowError before the first answer."""
        return self._answer + timedelta(seconds=time.monotonic() - self._answered_at)

    def seconds_ahead(self) -> float:
        """Return how far the database's clock is ahead of this machine's; negative where it is
        behind; 0 before the first answer.
        """
        if self._answered_at == -math.inf:
            return 0.0
        return (self.now() - self._clock()).total_seconds()
