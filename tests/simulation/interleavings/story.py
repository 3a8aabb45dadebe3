"""One run: what happens in it follows from its seed.

At first nothing fails. Then processes, connections and servers do, while the shop goes on stating
events. At the end everything is healed, delivered, idle for a while, and stopped.
"""

import asyncio
import gc
import logging
import random
import time
from collections.abc import Callable, Coroutine, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch
from uuid import UUID

import asyncpg
from aio_pika import IncomingMessage, RobustChannel
from aiormq.abc import TaskWrapper

from libs.messaging.inbox import consumer, subscriber
from tests.simulation.interleavings import rules
from tests.simulation.interleavings.broker import Broker
from tests.simulation.interleavings.loop import HERE, SeededLoop
from tests.simulation.interleavings.network import Host, Network
from tests.simulation.interleavings.postgres import Postgres
from tests.simulation.interleavings.processes import (
    BINDINGS,
    EVENTS,
    Credit,
    Process,
    RelayProcess,
    Shop,
)
from tests.simulation.interleavings.statements import EPOCH
from tests.simulation.rules import InvariantBroken
from tests.simulation.running import without_logs

BATCH = rules.PREFETCH // 2
CONNECTED_SECONDS = 2.0
QUIET_ROUNDS = 5
PROMPT_SECONDS = 1.0
DELIVERED_SECONDS = 120.0
IDLE_SECONDS = 10
IDLE_STEPS = 1_000
"""In a second, of all processes together."""
MOST_STEPS = 1_000_000
LEFT_SECONDS = 15.0
"""The protocol library may take this long to end its own tasks after a process has stopped."""


@dataclass
class Taken:
    """The steps of all runs so far. `trace` is equal where the same tasks ran in the same order."""

    steps: int = 0
    trace: int = 0


def run(seed: int, taken: Taken) -> None:
    """Raises InvariantBroken, which names the seed."""
    loop = SeededLoop(seed)
    with _as_if_real(loop, seed), _errors_logged(loop.complaints):
        story = Story(loop)
        try:
            loop.run_until_complete(story.tell())
            gc.collect()
            story.nothing_was_swallowed()
        except InvariantBroken as broken:
            broken.add_note(f"in step {loop.steps:,} of seed {seed}")
            raise
        finally:
            taken.steps += loop.steps
            taken.trace = hash((taken.trace, loop.trace))
            _end(loop)


def runs(seed: int, steps: int, taken: Taken) -> Iterator[int]:
    """Take at least `steps` steps, in runs of the seeds from `seed` on. Yields each seed."""
    while taken.steps < steps:
        run(seed, taken)
        yield seed
        seed += 1


class Story:
    def __init__(self, loop: SeededLoop) -> None:
        self._loop = loop
        self._random = loop.random
        self._hindered: set[UUID] = set()
        self.shop_database, self.credit_database = Postgres(loop), Postgres(loop)
        self.broker = Broker(loop, BINDINGS)
        self.network = loop.network = Network(loop, self.broker.connection)
        self.watch = rules.Watch(loop, self.shop_database, self.credit_database, self.broker)
        self.shop: Shop = Shop(loop, self.shop_database)
        self._made: dict[str, Callable[[], Process]] = {}
        for number in range(self._random.choice((1, 2, 2))):
            name = f"relay {number}"
            self._made[name] = lambda name=name: RelayProcess(loop, name)  # type: ignore[misc]
        for number in range(self._random.choice((1, 2, 2))):
            name = f"credit {number}"
            self._made[name] = lambda name=name: Credit(  # type: ignore[misc]
                loop, name, self.credit_database, self._hinders
            )
        self.running: dict[str, Process] = {}
        loop.after_step = self._after_step

    async def tell(self) -> None:
        HERE.set(Host("story"))
        with patch.object(asyncpg, "connect", self.shop_database.connect):
            await self.shop.start()
            for name in self._made:
                await self._start(name)
            await asyncio.sleep(CONNECTED_SECONDS)
            await self._nothing_fails()
            await self._things_fail()
            await self._everything_is_delivered()
            await self._idle()
            await self._stop_all()

    def nothing_was_swallowed(self) -> None:
        for told in self._loop.complaints:
            self.watch.breaks(rules.TOLD, told)
        self.watch.raise_if_broken()

    async def _nothing_fails(self) -> None:
        """A few commits at nearly the same time, and then silence: a signal that is lost is not
        made good by the next one.
        """
        for _ in range(QUIET_ROUNDS):
            pause = self._random.choice((0.005, 0.02, 0.05, 0.2))
            await asyncio.wait([self.shop.write(1, pause) for _ in range(3)])
            await asyncio.sleep(PROMPT_SECONDS)
            self.watch.published_within(PROMPT_SECONDS)

    async def _things_fail(self) -> None:
        self.watch.nothing_fails = False
        writers = [self.shop.write(6, 0.8) for _ in range(3)]
        faults: list[Callable[[], Coroutine[Any, Any, None]]] = [
            self._a_process_stops,
            self._a_process_dies,
            self._a_process_is_cut_off,
            self._one_line_is_cut,
            self._messages_are_taken_back,
            self._broker_restarts,
            self._a_database_restarts,
            self._statements_fail,
            self._broker_refuses,
            self._broker_does_not_confirm,
            self._a_queue_is_missing,
        ]
        under_way = []
        for _ in range(self._random.randint(2, 6)):
            under_way.append(asyncio.create_task(self._random.choice(faults)()))
            await asyncio.sleep(self._random.uniform(0, 1.0))
        await asyncio.gather(*under_way)
        await asyncio.gather(*writers)

    async def _everything_is_delivered(self) -> None:
        until = self._loop.time() + DELIVERED_SECONDS
        while self._loop.time() < until and not self.watch.all_is_delivered():  # noqa: ASYNC110
            await asyncio.sleep(0.5)
        self.watch.at_rest()

    async def _idle(self) -> None:
        before = self._loop.steps
        await asyncio.sleep(IDLE_SECONDS)
        if (took := self._loop.steps - before) > IDLE_STEPS * IDLE_SECONDS:
            self.watch.breaks(rules.AT_REST, f"{took:,} steps in {IDLE_SECONDS} s")
        self.watch.at_rest()

    async def _stop_all(self) -> None:
        await asyncio.gather(*map(self._stop, list(self.running)))
        await self._in_time(self.shop)

    async def _start(self, name: str) -> None:
        self.running[name] = self._made[name]()
        await self.running[name].start()

    async def _stop(self, name: str) -> None:
        await self._in_time(self.running.pop(name))

    async def _in_time(self, process: Process) -> None:
        until = self._loop.time() + process.stops_within
        stopping = asyncio.ensure_future(process.stop())
        await asyncio.wait({stopping}, timeout=process.stops_within)
        if not stopping.done():
            self.watch.breaks(rules.STOPS, f"{process.host.name} is late")
        await stopping
        ours = [task for task in process.tasks() if ": " in task.get_name()]
        if ours and self._loop.time() < until:
            self.watch.breaks(rules.STOPS, f"{process.host.name} leaves {ours}")
        await asyncio.sleep(LEFT_SECONDS)
        if left := process.tasks():
            self.watch.breaks(rules.STOPS, f"{process.host.name} leaves {left}")

    async def _a_process_stops(self) -> None:
        if self.running:
            name = self._random.choice(list(self.running))
            await self._stop(name)
            await self._start(name)

    async def _a_process_dies(self) -> None:
        if self.running:
            name = self._random.choice(list(self.running))
            await self.running.pop(name).kill()
            await self._start(name)

    async def _a_process_is_cut_off(self) -> None:
        if self.running:
            self._random.choice(list(self.running.values())).host.cut()

    async def _one_line_is_cut(self) -> None:
        lines = [line for each in self.running.values() for line in each.host.lines]
        if lines:
            self._random.choice(lines).cut()

    async def _messages_are_taken_back(self) -> None:
        """From a consumer that may be at work on them: another one gets them meanwhile."""
        for _ in range(4):
            await asyncio.sleep(self._random.uniform(0, 1.0))
            if holders := self.broker.holders():
                self._random.choice(holders).transport.line.cut()

    async def _broker_restarts(self) -> None:
        self.network.is_away = True
        self.broker.cut()
        await asyncio.sleep(self._random.uniform(0, 3))
        self.network.is_away = False

    async def _a_database_restarts(self) -> None:
        database = self._random.choice((self.shop_database, self.credit_database))
        database.is_away = True
        database.restart()
        await asyncio.sleep(self._random.uniform(0, 2))
        database.is_away = False

    async def _statements_fail(self) -> None:
        database = self._random.choice((self.shop_database, self.credit_database))
        database.faults = self._random.uniform(0.01, 0.2)
        await asyncio.sleep(self._random.uniform(0.5, 3))
        database.faults = 0.0

    async def _broker_refuses(self) -> None:
        self.broker.nacks += self._random.randint(1, 4)

    async def _broker_does_not_confirm(self) -> None:
        kind = self._random.choice(EVENTS).type
        self.broker.mute.add(kind)
        await asyncio.sleep(self._random.uniform(0.2, 8))
        self.broker.mute.discard(kind)

    async def _a_queue_is_missing(self) -> None:
        queue = self._random.choice(list(self.broker.queues))
        self.broker.missing.add(queue)
        await asyncio.sleep(self._random.uniform(0.5, 4))
        self.broker.missing.discard(queue)

    async def _hinders(self, identifier: UUID) -> None:
        """While things fail, some reactions take long, and some raise at their first attempt."""
        if self.watch.nothing_fails:
            return
        await asyncio.sleep(self._random.choice((0, 0, 0.02, 0.5, 1.5)))
        if identifier not in self._hindered and self._random.random() < 0.1:
            self._hindered.add(identifier)
            raise ValueError("a rule of the service")

    def _after_step(self) -> None:
        if self._loop.steps > MOST_STEPS:
            self.watch.breaks(rules.AT_REST, f"{MOST_STEPS:,} steps in {self._loop.time():.0f} s")
        self.nothing_was_swallowed()


class _Errors(logging.Handler):
    """Keeps what a part logs of an error that it did not expect."""

    def __init__(self, into: list[str]) -> None:
        super().__init__(logging.ERROR)
        self._into = into

    def emit(self, record: logging.LogRecord) -> None:
        if record.exc_info and (HERE.get(None) is None or not HERE.get().is_dead):
            self._into.append(self.format(record))


@contextmanager
def _errors_logged(into: list[str]) -> Iterator[None]:
    loggers = [logging.getLogger(name) for name in ("libs.messaging", "aiormq", "aio_pika")]
    handler = _Errors(into)
    before = [(logger, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(handler)
        logger.propagate = False
    try:
        yield
    finally:
        for logger, propagate in before:
            logger.removeHandler(handler)
            logger.propagate = propagate


@contextmanager
def _as_if_real(loop: SeededLoop, seed: int) -> Iterator[None]:
    """Clocks and random numbers follow from the seed; bounds are small, so that runs meet them."""
    state = random.getstate()
    random.seed(seed)
    with ExitStack() as stack:
        stack.callback(random.setstate, state)
        stack.callback(gc.unfreeze)
        gc.freeze()  # the search for lost exceptions looks through the objects of this run only
        stack.enter_context(without_logs())
        for target, name, value in (
            (time, "monotonic", loop.time),
            (time, "time_ns", lambda: int((EPOCH.timestamp() + loop.time()) * 1e9)),
            (subscriber, "PREFETCH", rules.PREFETCH),
            (consumer, "BATCH", BATCH),
            (TaskWrapper, "__hash__", lambda wrapper: hash(wrapper.task)),
            (IncomingMessage, "__hash__", lambda message: message.delivery_tag or 0),
            (RobustChannel, "__hash__", _numbered(loop)),
        ):
            stack.enter_context(patch.object(target, name, value))
        yield


def _numbered(loop: SeededLoop) -> Callable[[Any], int]:
    """A hash that does not depend on where the object is in memory."""

    def number(thing: Any) -> int:
        if not hasattr(thing, "number_in_sets"):
            thing.number_in_sets = next(loop.numbers)
        return int(thing.number_in_sets)

    return number


def _end(loop: SeededLoop) -> None:
    """Drop what a run that broke left unfinished."""
    loop.after_step = None

    async def cancel(tasks: set[asyncio.Task[Any]]) -> None:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks, timeout=1)

    for _ in range(10):
        if tasks := asyncio.all_tasks(loop):
            loop.run_until_complete(cancel(tasks))
    loop.close()
