"""A loop goes on after failures, and ends in order."""

import asyncio
import time
from collections.abc import AsyncIterator

import pytest

from libs.messaging.supervision import Supervisor
from libs.runtime.loops import Loop
from tests.fixtures.polling import eventually


@pytest.fixture
async def parts() -> AsyncIterator[Supervisor]:
    supervisor = Supervisor("test", longest_pause=0.01)
    yield supervisor
    await supervisor.stop(within=5)


class Work:
    """`Work` gives each answer once, and then False for ever."""

    def __init__(self, *answers: bool | Exception) -> None:
        self._left = list(answers)
        self.turns = 0

    async def __call__(self) -> bool:
        self.turns += 1
        answer = self._left.pop(0) if self._left else False
        if isinstance(answer, Exception):
            raise answer
        return answer

    async def until(self, turns: int) -> None:
        async def enough() -> bool:
            return self.turns >= turns

        await eventually(enough)


async def test_work_that_may_have_more_runs_again_at_once(parts: Supervisor) -> None:
    work = Work(True, True)
    Loop("l", 3600, work).start(parts)
    await work.until(3)


async def test_a_failure_is_tried_again_and_named_until_the_work_succeeds(
    parts: Supervisor,
) -> None:
    work = Work(ValueError("a"), ValueError("b"))
    Loop("l", 3600, work).start(parts)
    await work.until(1)
    await work.until(3)

    async def over() -> bool:
        return not parts.problems

    await eventually(over)


async def test_a_wake_up_ends_the_pause(parts: Supervisor) -> None:
    work = Work()
    loop = Loop("l", 3600, work)
    loop.start(parts)
    for turns in (1, 2, 3):
        await work.until(turns)
        loop.wake()
    await work.until(4)


async def test_stopping_ends_the_pause_and_finishes_the_turn(parts: Supervisor) -> None:
    begun, done = asyncio.Event(), False

    async def slow() -> bool:
        nonlocal done
        begun.set()
        await asyncio.sleep(0.05)
        done = True
        return False

    resting = Work()
    Loop("resting", 3600, resting).start(parts)
    Loop("slow", 3600, slow).start(parts)
    await resting.until(1)
    await begun.wait()
    started = time.monotonic()
    await parts.stop(within=60)
    assert done
    assert time.monotonic() - started < 5
