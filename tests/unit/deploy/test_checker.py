"""The checker checks at each interval and when asked, and goes on when it cannot
reach the system.
"""

from datetime import UTC, datetime

import pytest

from deploy.checker.periodic import Asked, watch

AT = datetime(2026, 11, 22, tzinfo=UTC)
NOBODY, SOMEBODY = Asked(AT, frozenset()), Asked(AT, frozenset({"default"}))


class EnoughError(Exception):
    """An `EnoughError` ends the watch of a test."""


class World:
    """A `World` answers one check after the other, each ten seconds after the previous one."""

    def __init__(self, *looks: Asked | Exception) -> None:
        self.looks = list(looks)
        self.seconds = 0.0
        self.examined: list[tuple[float, Asked]] = []
        self.trouble: list[Exception] = []

    async def ask(self) -> Asked:
        if not self.looks:
            raise EnoughError
        look = self.looks.pop(0)
        if isinstance(look, Exception):
            raise look
        return look

    async def examine(self, asked: Asked) -> None:
        self.examined.append((self.seconds, asked))
        if self.trouble:
            raise self.trouble.pop(0)

    async def pause(self) -> None:
        self.seconds += 10

    async def watch(self, every: float) -> list[tuple[float, Asked]]:
        with pytest.raises(EnoughError):
            await watch(
                self.ask, self.examine, every=every, pause=self.pause, clock=lambda: self.seconds
            )
        return self.examined


async def test_the_checker_checks_at_each_interval() -> None:
    assert await World(*[NOBODY] * 7).watch(25) == [(30, NOBODY), (60, NOBODY)]


async def test_the_checker_checks_at_once_when_asked_and_restarts_its_interval() -> None:
    found = await World(NOBODY, SOMEBODY, NOBODY, NOBODY, NOBODY).watch(25)
    assert found == [(10, SOMEBODY), (40, NOBODY)]


async def test_an_unreachable_system_is_reported_and_tried_again(
    capsys: pytest.CaptureFixture[str],
) -> None:
    world = World(OSError("connection refused"), SOMEBODY, SOMEBODY)
    world.trouble = [OSError("no route")]
    assert [at for at, _ in await world.watch(100)] == [10, 20]
    assert capsys.readouterr().out == "cannot check: connection refused\ncannot check: no route\n"
