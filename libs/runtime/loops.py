"""A loop is work that a service does without a request: timers, calls of a gateway. It runs where
the role is a worker.
"""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

from libs.messaging.supervision import Supervisor


@dataclass
class Loop:
    """A loop runs `work` each `every` seconds. `work` answers True when there may be more: it then
    runs again at once.
    """

    name: str
    every: float
    work: Callable[[], Awaitable[bool]]
    _wake: asyncio.Event = field(default_factory=asyncio.Event, init=False, repr=False)

    def wake(self) -> None:
        """Run the work now, without waiting for its time."""
        self._wake.set()

    def start(self, parts: Supervisor) -> None:
        """Start the loop as a part of `parts`, which runs it again and again, more slowly while it
        fails.
        """
        parts.start(self.name, self._step, wake=self._wake)

    async def _step(self) -> float | None:
        self._wake.clear()
        more = await self.work()
        return None if more else self.every
