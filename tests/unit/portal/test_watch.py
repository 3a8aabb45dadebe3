"""Timelines are watched here without a database."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, cast

import pytest

from libs.kernel.ids import uuid7
from services.portal.infrastructure.store.postgres import Store
from services.portal.infrastructure.web import watch
from services.portal.infrastructure.web.watch import TimelineWatch


class Empty:
    """An `Empty` store has no timeline."""

    class Timeline:
        async def find(self, *_: Any) -> None:
            return None

        async def positions(self, *_: Any) -> dict[Any, int]:
            return {}

    timeline = Timeline()

    async def read(self, work: Callable[[Any], Awaitable[Any]]) -> Any:
        return await work(self)


def test_one_event_loop_after_another_can_watch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watch, "LATE_SECONDS", 0.01)
    following = TimelineWatch(cast("Store", Empty()))

    async def may_view(_: Any) -> bool:
        return True

    async def nothing_yet() -> bool:
        stopping = asyncio.Event()
        told = following.follow("default", uuid7(), 0, may_view=may_view, stopping=stopping)
        first = await anext(told)
        stopping.set()
        return first is None and [each async for each in told] == []

    assert [asyncio.run(nothing_yet()) for _ in range(2)] == [True, True]
