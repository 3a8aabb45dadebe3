"""A part of a relay or subscriber that fails is restarted; only `stop` ends it."""

import asyncio
import logging
import time

import pytest
from prometheus_client import REGISTRY

from libs.messaging.supervision import Supervisor


class Away(Exception):
    """`Away` is the error of a server that is away."""


async def until(condition: object, seconds: float = 5.0) -> None:
    deadline = time.monotonic() + seconds
    while not condition():  # type: ignore[operator]
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.005)


def parts() -> Supervisor:
    return Supervisor("test", expected=(Away,), longest_pause=0.01)


@pytest.mark.parametrize("error", [TypeError("ours"), Away("theirs"), asyncio.CancelledError()])
async def test_a_part_that_fails_runs_again_and_is_named_meanwhile(error: BaseException) -> None:
    supervisor, turns, healed = parts(), 0, asyncio.Event()

    async def step() -> None:
        nonlocal turns
        turns += 1
        if not healed.is_set():
            raise error
        await asyncio.sleep(0.001)

    supervisor.start("part", step)
    await until(lambda: turns >= 3)
    assert "part" in supervisor.problems
    healed.set()
    await until(lambda: not supervisor.problems)
    await supervisor.stop(within=1)


async def test_servers_that_are_away_are_logged_once_and_our_own_faults_with_a_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    supervisor, turns = parts(), 0

    async def step() -> None:
        nonlocal turns
        turns += 1
        raise Away("no answer") if turns < 5 else KeyError("ours")

    with caplog.at_level(logging.WARNING):
        supervisor.start("part", step)
        await until(lambda: turns >= 6)
        await supervisor.stop(within=1)
    away = [record for record in caplog.records if "no answer" in record.getMessage()]
    ours = [record for record in caplog.records if record.exc_info]
    assert len(away) == 1
    assert ours


async def test_only_steps_that_fail_over_a_server_that_is_away_are_counted() -> None:
    supervisor, turns, counted = parts(), 0, {"part": "test"}
    before = REGISTRY.get_sample_value("connection_failures_total", counted)

    async def step() -> None:
        nonlocal turns
        turns += 1
        raise Away("no answer") if turns < 4 else KeyError("ours")

    supervisor.start("part", step)
    await until(lambda: turns >= 6)
    await supervisor.stop(within=1)
    assert before is not None
    assert REGISTRY.get_sample_value("connection_failures_total", counted) == before + 3


async def test_stop_lets_the_step_in_hand_finish() -> None:
    supervisor, finished = parts(), False

    async def step() -> None:
        nonlocal finished
        await asyncio.sleep(0.05)
        finished = True

    supervisor.start("part", step)
    await asyncio.sleep(0)
    await supervisor.stop(within=5)
    assert finished


async def test_stop_ends_in_time_beside_a_part_that_swallows_its_cancellation() -> None:
    supervisor, release = parts(), asyncio.Event()

    async def step() -> None:
        while not release.is_set():
            try:
                await release.wait()
            except asyncio.CancelledError:
                continue

    supervisor.start("part", step)
    await asyncio.sleep(0)
    started = time.monotonic()
    await supervisor.stop(within=0.05)
    assert time.monotonic() - started < 3
    release.set()


async def test_stop_before_start_does_nothing() -> None:
    await parts().stop(within=1)


async def test_stop_does_not_wait_for_the_pause_after_a_failure() -> None:
    supervisor = Supervisor("test", longest_pause=60)

    async def step() -> None:
        raise Away

    supervisor.start("part", step)
    await until(lambda: supervisor.problems)
    started = time.monotonic()
    await supervisor.stop(within=30)
    assert time.monotonic() - started < 1


async def test_a_rest_that_a_step_asks_for_is_no_problem_and_ends_with_a_wake_up() -> None:
    supervisor, turns, wake = parts(), 0, asyncio.Event()

    async def step() -> float:
        nonlocal turns
        wake.clear()
        turns += 1
        if turns == 1:
            raise Away
        return 3600

    supervisor.start("part", step, wake=wake)
    await until(lambda: turns == 2 and not supervisor.problems)
    wake.set()
    await until(lambda: turns == 3)
    await supervisor.stop(within=1)
