"""Makes the faults of a run."""

import asyncio
from collections.abc import Callable, Coroutine
from random import Random
from typing import TYPE_CHECKING, Any

from tests.simulation.interleavings.processes import EVENTS

if TYPE_CHECKING:
    from tests.simulation.interleavings.story import Story

Fault = Callable[[], Coroutine[Any, Any, None]]


class Faults:
    """Each of the `Faults` ends when what it broke is healed."""

    def __init__(self, story: "Story", random: Random) -> None:
        self._story = story
        self._random = random
        self._all: list[Fault] = [
            self.a_process_stops,
            self.a_process_dies,
            self.all_subscribers_stop,
            self.a_process_is_cut_off,
            self.one_line_is_cut,
            self.messages_are_taken_back,
            self.broker_restarts,
            self.a_database_restarts,
            self.statements_fail,
            self.broker_refuses,
            self.broker_does_not_confirm,
            self.a_queue_is_missing,
        ]

    def any(self) -> Coroutine[Any, Any, None]:
        return self._random.choice(self._all)()

    async def a_process_stops(self) -> None:
        if self._story.running:
            name = self._random.choice(list(self._story.running))
            await self._story.stop(name)
            await self._story.start(name)

    async def all_subscribers_stop(self) -> None:
        """Stop all subscribers, which come back to full queues."""
        names = [name for name in self._story.running if name.startswith("credit")]
        await asyncio.gather(*map(self._story.stop, names))
        await asyncio.gather(*map(self._story.start, names))

    async def a_process_dies(self) -> None:
        if self._story.running:
            name = self._random.choice(list(self._story.running))
            await self._story.running.pop(name).kill()
            await self._story.start(name)

    async def a_process_is_cut_off(self) -> None:
        if self._story.running:
            self._random.choice(list(self._story.running.values())).host.cut()

    async def one_line_is_cut(self) -> None:
        lines = [line for each in self._story.running.values() for line in each.host.lines]
        if lines:
            self._random.choice(lines).cut()

    async def messages_are_taken_back(self) -> None:
        """Cut off consumers that may be at work on messages, so that another one gets these."""
        for _ in range(4):
            await asyncio.sleep(self._random.uniform(0, 1.0))
            if holders := self._story.broker.holders():
                self._random.choice(holders).transport.line.cut()

    async def broker_restarts(self) -> None:
        self._story.network.is_away = True
        self._story.broker.cut()
        await asyncio.sleep(self._random.uniform(0, 3))
        self._story.network.is_away = False

    async def a_database_restarts(self) -> None:
        database = self._random.choice((self._story.shop_database, self._story.credit_database))
        database.is_away = True
        database.restart()
        await asyncio.sleep(self._random.uniform(0, 2))
        database.is_away = False

    async def statements_fail(self) -> None:
        database = self._random.choice((self._story.shop_database, self._story.credit_database))
        database.faults = self._random.uniform(0.01, 0.2)
        await asyncio.sleep(self._random.uniform(0.5, 3))
        database.faults = 0.0

    async def broker_refuses(self) -> None:
        self._story.broker.nacks += self._random.randint(1, 4)

    async def broker_does_not_confirm(self) -> None:
        kind = self._random.choice(EVENTS).type
        self._story.broker.mute.add(kind)
        await asyncio.sleep(self._random.uniform(0.2, 8))
        self._story.broker.mute.discard(kind)

    async def a_queue_is_missing(self) -> None:
        queue = self._random.choice(list(self._story.broker.queues))
        self._story.broker.missing.add(queue)
        await asyncio.sleep(self._random.uniform(0.5, 4))
        self._story.broker.missing.discard(queue)
