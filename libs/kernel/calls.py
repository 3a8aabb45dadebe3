"""A call of an external system may stay without an answer; a policy says when to call again."""

import asyncio
from collections.abc import Awaitable
from dataclasses import KW_ONLY, dataclass
from datetime import timedelta
from typing import TypeVar

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Unanswered:
    """It is unknown whether the system did what was asked. Call again with the same key."""

    reason: str


@dataclass(frozen=True)
class RetryPolicy:
    """A `RetryPolicy` says when to call again. After `silent_tries` calls, the last without an
    answer, a person is needed; the calls go on.
    """

    first: timedelta
    longest: timedelta
    _: KW_ONLY
    silent_tries: int = 5

    def delay(self, attempts: int) -> timedelta:
        """Return the wait after attempt number `attempts`. It doubles, up to `longest`."""
        return min(self.longest, self.first * (1 << min(attempts - 1, 30)))


async def answer_within(
    patience: timedelta, system: str, call: Awaitable[Answer]
) -> Answer | Unanswered:
    """Return the answer of `system` to `call`. Every error becomes `Unanswered`, and so does a call
    that takes longer than `patience`.
    """
    try:
        async with asyncio.timeout(patience.total_seconds()):
            return await call
    except Exception as error:
        return Unanswered(f"the {system} did not answer: {type(error).__name__}")
