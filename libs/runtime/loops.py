"""Work a service does by itself: timers, calls of a gateway. Runs where the role is a worker."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

import structlog

log = structlog.get_logger(__name__)

BACKOFF_SECONDS = 30.0


@dataclass
class Loop:
    """Runs `work` each `every` seconds. `work` answers True when there may be more: it then runs
    again at once. A failure is logged and tried again, ever more slowly up to 30 s."""

    name: str
    every: float
    work: Callable[[], Awaitable[bool]]
    _bell: asyncio.Event = field(default_factory=asyncio.Event, init=False, repr=False)

    def wake(self) -> None:
        """Run the work now, without waiting for its time."""
        self._bell.set()

    async def run(self, stopping: asyncio.Event) -> None:
        """Until `stopping` is set; a turn in progress is finished."""
        failures = 0
        while not stopping.is_set():
            self._bell.clear()
            try:
                more = await self.work()
                failures = 0
            except Exception:
                failures += 1
                more = False
                log.exception("loop failed", loop=self.name, failures=failures)
            if not more:
                pause = min(self.every * 2 ** min(failures, 10), self.every + BACKOFF_SECONDS)
                await self._pause(stopping, pause)

    async def _pause(self, stopping: asyncio.Event, seconds: float) -> None:
        waits = {asyncio.ensure_future(stopping.wait()), asyncio.ensure_future(self._bell.wait())}
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()
