"""Calls of a system outside, such as a gateway or a bank. A service claims what is due and makes
one call for each, while no transaction is open.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Generic, TypeVar

import structlog

from libs.runtime.loops import Loop

STRAGGLER_SECONDS = 0.25
"""A call that takes longer goes on while the next ones are claimed, so that a silent system or one
slow call does not delay the others.
"""

Claimed = TypeVar("Claimed")

log = structlog.get_logger(__name__)


class Calls(Generic[Claimed]):
    """`claim` takes the number of calls it may claim and returns those that are due. `call` makes
    one call and records its result; `about` names it in the log. At most `concurrency` calls run at
    the same time.

    The claims of a worker that was killed end with their lease.
    """

    def __init__(
        self,
        name: str,
        *,
        every: float,
        concurrency: int,
        claim: Callable[[int], Awaitable[Sequence[Claimed]]],
        call: Callable[[Claimed], Awaitable[None]],
        about: Callable[[Claimed], Mapping[str, object]],
    ) -> None:
        self.loop = Loop(name, every, self.work)
        self._concurrency = concurrency
        self._claim = claim
        self._call = call
        self._about = about
        self._under_way: set[asyncio.Task[None]] = set()

    async def work(self) -> bool:
        """Claim what is due and make the calls. Returns True when there may be more."""
        free = self._concurrency - len(self._under_way)
        if free == 0:
            await asyncio.wait(
                self._under_way, timeout=self.loop.every, return_when=asyncio.FIRST_COMPLETED
            )
            return True
        claimed = await self._claim(free)
        calls = {asyncio.create_task(self._make(each)) for each in claimed}
        self._under_way |= calls
        for call in calls:
            call.add_done_callback(self._under_way.discard)
        if calls:
            await asyncio.wait(calls, timeout=STRAGGLER_SECONDS)
        return len(claimed) == free

    async def _make(self, claimed: Claimed) -> None:
        try:
            await self._call(claimed)
        except Exception:
            log.exception("answer not recorded", loop=self.loop.name, **self._about(claimed))
