"""Loops: the work goes on whatever happens, and ends in order."""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from libs.runtime import loops
from libs.runtime.loops import Loop


async def run(loop: Loop, stopping: asyncio.Event) -> None:
    async with asyncio.timeout(5):
        await loop.run(stopping)


def work(stopping: asyncio.Event, *answers: bool | Exception) -> Callable[[], Awaitable[bool]]:
    """Gives each answer once, and then asks to stop."""
    left = list(answers)

    async def once() -> bool:
        answer = left.pop(0)
        if not left:
            stopping.set()
        if isinstance(answer, Exception):
            raise answer
        return answer

    return once


async def test_work_that_may_have_more_runs_again_at_once() -> None:
    stopping = asyncio.Event()
    await run(Loop("l", 3600, work(stopping, True, True, False)), stopping)


async def test_a_failure_is_tried_again() -> None:
    stopping = asyncio.Event()
    await run(Loop("l", 0.001, work(stopping, ValueError(), ValueError(), False)), stopping)


async def test_a_wake_up_ends_the_pause() -> None:
    stopping, turns = asyncio.Event(), 0

    async def count() -> bool:
        nonlocal turns
        turns += 1
        if turns == 3:
            stopping.set()
        else:
            asyncio.get_running_loop().call_soon(loop.wake)
        return False

    loop = Loop("l", 3600, count)
    await run(loop, stopping)
    assert turns == 3


async def test_stopping_ends_the_pause_and_finishes_the_turn() -> None:
    stopping, done = asyncio.Event(), False

    async def slow() -> bool:
        nonlocal done
        stopping.set()
        await asyncio.sleep(0)
        done = True
        return True

    await run(Loop("l", 3600, slow), stopping)
    assert done


async def test_failures_slow_a_loop_down_only_so_far(monkeypatch: pytest.MonkeyPatch) -> None:
    stopping, pauses = asyncio.Event(), list[float]()

    async def pause(_: Loop, __: asyncio.Event, seconds: float) -> None:
        pauses.append(seconds)

    monkeypatch.setattr(loops.Loop, "_pause", pause)
    monkeypatch.setattr(loops.log, "exception", lambda *_, **__: None)
    failures: list[bool | Exception] = [ValueError() for _ in range(1100)]
    await run(Loop("l", 1.0, work(stopping, *failures, False)), stopping)
    assert pauses[:3] == [2, 4, 8]
    assert max(pauses) == 31
