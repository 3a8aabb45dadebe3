"""A supervisor keeps the long-running parts of a component alive.

    parts = Supervisor("orders relay")
    parts.start("claimer 0", claimer.step)     # runs `step` again and again until `stop`
    parts.problems                       # {"claimer 0": "…"} while it fails: readiness
    await parts.stop(within=5.0)         # at most that many seconds

Only `stop` ends a part. An exception of a step is logged and stays in `problems` until a step
succeeds; the step runs again after a pause that grows with each failure in a row.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable

from prometheus_client import Counter

from libs.messaging.backoff import backoff

log = logging.getLogger(__name__)

FAILED_CONNECTIONS = Counter(
    "connection_failures", "Steps that failed over a server that is away or refuses", ["part"]
)

Step = Callable[[], Awaitable[float | None]]
"""A step may return for how many seconds to rest before the next step."""


class Supervisor:
    """A supervisor has the parts of one component. `stopping` is set when `stop` begins: a step
    that waits for long watches it and returns.

    `expected` are the errors of servers that are away. They are logged in one line, each sentence
    once; any other error is logged with its traceback.
    """

    def __init__(
        self,
        owner: str,
        *,
        expected: tuple[type[Exception], ...] = (),
        describe: Callable[[BaseException], str] | None = None,
        longest_pause: float = 2.0,
    ) -> None:
        self.stopping = asyncio.Event()
        self.problems: dict[str, str] = {}
        self._owner = owner
        self._failed_connections = FAILED_CONNECTIONS.labels(owner)
        self._expected = expected
        self._describe = describe or _sentence
        self._longest_pause = longest_pause
        self._tasks: list[asyncio.Task[None]] = []

    def start(self, part: str, step: Step, *, wake: asyncio.Event | None = None) -> None:
        """Run `step` again and again. `part` names it in logs and in `problems`. `wake` ends a rest
        that the step has asked for; the step clears it.
        """
        name = f"{self._owner}: {part}"
        running = self._keep_running(part, step, wake)
        self._tasks.append(asyncio.create_task(running, name=name))

    async def stop(self, *, within: float) -> None:
        """Let each part finish its current step; after `within` seconds cancel those that do not.

        Returns also when a part ignores its cancellation: protocol libraries can swallow one.
        """
        self.stopping.set()
        if not self._tasks:
            return
        _, late = await asyncio.wait(self._tasks, timeout=within)
        for task in late:
            task.cancel()
        if late:
            await asyncio.wait(late, timeout=1)

    async def _keep_running(self, part: str, step: Step, wake: asyncio.Event | None) -> None:
        failures = 0
        while not self.stopping.is_set():
            rest = None
            try:
                rest = await step()
            except asyncio.CancelledError:
                # Protocol libraries raise CancelledError into their callers when a connection
                # closes. Only a task that somebody cancels counts as cancelled.
                if _is_cancelled():
                    raise
                failures += 1
                self._note(part, ConnectionError("the connection closed during a call"))
            except Exception as error:  # no error ends a part
                failures += 1
                self._note(part, error)
            else:
                failures = 0
                self.problems.pop(part, None)
            if _is_cancelled():
                return
            if failures:
                await self._pause(backoff(failures, most=self._longest_pause))
            elif rest:
                await self._pause(rest, wake)

    def _note(self, part: str, error: Exception) -> None:
        sentence = self._describe(error)
        is_new = self.problems.get(part) != sentence
        self.problems[part] = sentence
        if not isinstance(error, (ConnectionError, *self._expected)):
            log.error("%s: %s failed", self._owner, part, exc_info=error)
            return
        self._failed_connections.inc()
        if is_new:
            log.warning("%s: %s: %s", self._owner, part, sentence)

    async def _pause(self, seconds: float, wake: asyncio.Event | None = None) -> None:
        events = [self.stopping] if wake is None else [self.stopping, wake]
        waits = [asyncio.create_task(event.wait()) for event in events]
        try:
            await asyncio.wait(waits, timeout=seconds, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()


def _is_cancelled() -> bool:
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0


def _sentence(error: BaseException) -> str:
    return str(error) or type(error).__name__
