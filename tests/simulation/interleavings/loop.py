"""Runs an event loop whose time is virtual and whose seed decides which task runs next.

The libraries that were looked at do not fit. simloop, simloom and seedloop need Python 3.12.
async-solipsism and looptime have virtual time, but run tasks in the usual order. None of them, nor
detangle, makes the order of a set of futures repeatable, and aiormq keeps its futures in sets.
"""

import asyncio
import heapq
from collections import deque
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from itertools import count
from random import Random
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.simulation.interleavings.network import Host, Network

STEP_SECONDS = 0.000_01
"""Virtual time that one step takes, so that time goes on while tasks are busy."""

HERE: ContextVar["Host"] = ContextVar("HERE")
"""The host whose code runs. A task belongs to the host of the code that started it."""


class SeededFuture(asyncio.Future[Any]):
    """The hash of a `SeededFuture` is its number, so a set of futures has the same order in every
    run. The same holds for tasks.
    """

    def __init__(self, *, loop: "SeededLoop") -> None:
        self.number = next(loop.numbers)
        super().__init__(loop=loop)

    def __hash__(self) -> int:
        return self.number


class SeededTask(asyncio.Task[Any]):
    def __init__(self, work: Any, *, loop: "SeededLoop", **options: Any) -> None:
        context = options.get("context") or copy_context()
        self.host = context.get(HERE)
        self.number = next(loop.numbers)
        super().__init__(work, loop=loop, **options)

    def __hash__(self) -> int:
        return self.number


class SeededLoop(asyncio.BaseEventLoop):
    """Callbacks run first, in the order they were scheduled in, as asyncio promises. Any of the
    tasks that are ready may be next. When nothing is ready, time moves to the next timer.

    `trace` is a digest of the steps so far; `complaints` are what asyncio reports of exceptions
    that nobody has looked at.
    """

    def __init__(self, seed: int) -> None:
        super().__init__()
        self.random = Random(seed)
        self.numbers = count(1)
        self.steps = 0
        self.trace = 0
        self.complaints: list[str] = []
        self.after_step: Callable[[], None] | None = None
        self.network: Network | None = None
        self._now = 0.0
        self._callbacks: deque[asyncio.Handle] = deque()
        self._task_steps: list[asyncio.Handle] = []
        self.set_task_factory(lambda loop, coro, **options: SeededTask(coro, loop=self, **options))
        self.set_exception_handler(lambda _, told: self.complaints.append(_sentence(told)))

    def time(self) -> float:
        return self._now

    def create_future(self) -> asyncio.Future[Any]:
        return SeededFuture(loop=self)

    def call_soon(  # type: ignore[override]
        self, callback: Callable[..., object], *args: Any, context: Context | None = None
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        of_task = isinstance(getattr(callback, "__self__", None), asyncio.Task)
        (self._task_steps if of_task else self._callbacks).append(handle)
        return handle

    call_soon_threadsafe = call_soon  # type: ignore[assignment]

    async def create_connection(
        self, protocol_factory: Any, host: Any = None, *_: Any, **__: Any
    ) -> Any:
        if self.network is None:
            raise OSError("there is no network")
        return await self.network.connect(protocol_factory)

    def _run_once(self) -> None:
        self._take_due_timers()
        handle = self._next_step()
        self.steps += 1
        self._now += STEP_SECONDS
        if not handle.cancelled():
            handle._run()
        if self.after_step is not None:
            self.after_step()

    def _take_due_timers(self) -> None:
        timers: list[asyncio.TimerHandle] = self._scheduled  # type: ignore[attr-defined]
        idle = not self._callbacks and not self._task_steps
        while timers and (idle or timers[0].when() <= self._now or timers[0].cancelled()):
            timer = heapq.heappop(timers)
            timer._scheduled = False  # type: ignore[attr-defined]
            if not timer.cancelled():
                self._now = max(self._now, timer.when())
                self._callbacks.append(timer)
                idle = False

    def _next_step(self) -> asyncio.Handle:
        if self._callbacks:
            return self._callbacks.popleft()
        if not self._task_steps:
            raise RuntimeError("every task waits for another one")
        chosen = self.random.randrange(len(self._task_steps))
        handle = self._task_steps.pop(chosen)
        task: SeededTask = handle._callback.__self__  # type: ignore[attr-defined]
        self.trace = hash((self.trace, task.number, self._now))
        return handle


def _sentence(told: dict[str, Any]) -> str:
    return f"{told['message']}: {told.get('exception')!r} {told.get('task') or told.get('future')}"
