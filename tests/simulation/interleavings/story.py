"""Simulates one run, in which everything follows from its seed.

At first nothing fails. Then processes, connections and servers fail, while the shop goes on writing
events. At the end everything is healed, delivered, idle for a while, and stopped.
"""

import asyncio
import gc
from collections.abc import Callable, Coroutine, Iterator
from dataclasses import dataclass
from typing import Any
from unittest.mock import patch
from uuid import UUID

import asyncpg

from tests.simulation.interleavings import rules
from tests.simulation.interleavings.broker import Broker
from tests.simulation.interleavings.faults import Faults
from tests.simulation.interleavings.loop import HERE, SeededLoop
from tests.simulation.interleavings.network import Host, Network
from tests.simulation.interleavings.postgres import Postgres
from tests.simulation.interleavings.processes import (
    BINDINGS,
    Credit,
    Process,
    RelayProcess,
    Shop,
)
from tests.simulation.interleavings.surroundings import as_if_real, end, errors_logged
from tests.simulation.rules import InvariantBroken

CONNECTED_SECONDS = 2.0
QUIET_ROUNDS = 5
PROMPT_SECONDS = 1.0
DELIVERED_SECONDS = 120.0
IDLE_SECONDS = 10
IDLE_STEPS = 400
"""The most steps in an idle second, of all processes together."""
MOST_STEPS = 1_000_000
LEFT_SECONDS = 15.0
"""The protocol library may take this long to end its own tasks after a process has stopped."""


@dataclass
class Taken:
    """`Taken` counts the steps of all runs. `trace` is equal if the same tasks ran in one order."""

    steps: int = 0
    trace: int = 0


def run(
    seed: int, taken: Taken, tell: Callable[["Story"], Coroutine[Any, Any, None]] | None = None
) -> None:
    """Run the story of this seed, or `tell`. Raise InvariantBroken with the seed."""
    loop = SeededLoop(seed)
    with as_if_real(loop, seed), errors_logged(loop.complaints):
        story = Story(loop)
        try:
            loop.run_until_complete(story.happens(tell or Story.tell))
            gc.collect()
            story.nothing_was_swallowed()
        except InvariantBroken as broken:
            broken.add_note(f"in step {loop.steps:,} of seed {seed}")
            raise
        finally:
            taken.steps += loop.steps
            taken.trace = hash((taken.trace, loop.trace))
            end(loop)


def runs(seed: int, steps: int, taken: Taken) -> Iterator[int]:
    """Take at least `steps` steps, in runs of the seeds from `seed` on. Yield each seed."""
    while taken.steps < steps:
        run(seed, taken)
        yield seed
        seed += 1


class Story:
    def __init__(self, loop: SeededLoop) -> None:
        self.loop = loop
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
        self._faults = Faults(self, loop.random)
        loop.after_step = self._after_step

    async def happens(self, tell: Callable[["Story"], Coroutine[Any, Any, None]]) -> None:
        HERE.set(Host("story"))
        with patch.object(asyncpg, "connect", self.shop_database.connect):
            await tell(self)

    async def tell(self) -> None:
        await self.shop.start()
        for name in self._made:
            await self.start(name)
        await asyncio.sleep(CONNECTED_SECONDS)
        await self._nothing_fails()
        await self._things_fail()
        await self._everything_is_delivered()
        await self._idle()
        await self._stop_all()

    def nothing_was_swallowed(self) -> None:
        for told in self.loop.complaints:
            self.watch.breaks(rules.TOLD, told)
        self.watch.raise_if_broken()

    async def _nothing_fails(self) -> None:
        """Commit a few times at nearly the same moment, and then not at all, so that no later
        signal replaces a lost one.
        """
        for _ in range(QUIET_ROUNDS):
            pause = self._random.choice((0.005, 0.02, 0.05, 0.2))
            await asyncio.wait([self.shop.write(1, pause) for _ in range(3)])
            await asyncio.sleep(PROMPT_SECONDS)
            self.watch.published_within(PROMPT_SECONDS)

    async def _things_fail(self) -> None:
        self.watch.nothing_fails = False
        writers = [self.shop.write(6, 0.8) for _ in range(3)]
        under_way = []
        for _ in range(self._random.randint(2, 6)):
            under_way.append(asyncio.create_task(self._faults.any()))
            await asyncio.sleep(self._random.uniform(0, 1.0))
        await asyncio.gather(*under_way)
        await asyncio.gather(*writers)

    async def _everything_is_delivered(self) -> None:
        until = self.loop.time() + DELIVERED_SECONDS
        while self.loop.time() < until and not self.watch.all_is_delivered():  # noqa: ASYNC110
            await asyncio.sleep(0.5)
        self.watch.at_rest()

    async def _idle(self) -> None:
        before = self.loop.steps
        await asyncio.sleep(IDLE_SECONDS)
        if (took := self.loop.steps - before) > IDLE_STEPS * IDLE_SECONDS:
            self.watch.breaks(rules.AT_REST, f"{took:,} steps in {IDLE_SECONDS} s")
        self.watch.at_rest()
        for name, process in self.running.items():
            if not process.is_ready:
                self.watch.breaks(rules.READY, name)

    async def _stop_all(self) -> None:
        await asyncio.gather(*map(self.stop, list(self.running)))
        await self._in_time(self.shop)

    async def start(self, name: str) -> None:
        self.running[name] = self._made[name]()
        await self.running[name].start()

    async def stop(self, name: str) -> None:
        await self._in_time(self.running.pop(name))

    async def _in_time(self, process: Process) -> None:
        until = self.loop.time() + process.stops_within
        stopping = asyncio.ensure_future(process.stop())
        await asyncio.wait({stopping}, timeout=process.stops_within)
        if not stopping.done():
            self.watch.breaks(rules.STOPS, f"{process.host.name} is late")
        await stopping
        ours = [task for task in process.tasks() if ": " in task.get_name()]
        if ours and self.loop.time() < until:
            self.watch.breaks(rules.STOPS, f"{process.host.name} leaves {ours}")
        await asyncio.sleep(LEFT_SECONDS)
        if left := process.tasks():
            self.watch.breaks(rules.STOPS, f"{process.host.name} leaves {left}")

    async def _hinders(self, identifier: UUID) -> None:
        """Make some reactions slow, and some fail at their first attempt, while things fail."""
        if self.watch.nothing_fails:
            return
        await asyncio.sleep(self._random.choice((0, 0, 0.02, 0.5, 1.5)))
        if identifier not in self._hindered and self._random.random() < 0.1:
            self._hindered.add(identifier)
            raise ValueError("a rule of the service")

    def _after_step(self) -> None:
        if self.loop.steps > MOST_STEPS:
            self.watch.breaks(rules.AT_REST, f"{MOST_STEPS:,} steps in {self.loop.time():.0f} s")
        self.nothing_was_swallowed()
