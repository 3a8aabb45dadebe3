"""Calls of a system outside: how many at once, and which wait for which."""

import asyncio
from collections.abc import Sequence

import structlog

from libs.calls.worker import Calls


class Outside:
    """What is due, and a system that answers each call when the test says so."""

    def __init__(self, due: Sequence[str], *, concurrency: int = 2) -> None:
        self.due = list(due)
        self.called: list[str] = []
        self.recorded: list[str] = []
        self.answers = {name: asyncio.Event() for name in due}
        self.calls = Calls(
            "outside",
            every=0.02,
            concurrency=concurrency,
            claim=self.claim,
            call=self.call,
            about=lambda name: {"order_id": name},
        )

    async def claim(self, most: int) -> Sequence[str]:
        taken, self.due = self.due[:most], self.due[most:]
        return taken

    async def call(self, name: str) -> None:
        self.called.append(name)
        await self.answers[name].wait()
        if name == "broken":
            raise ConnectionError
        self.recorded.append(name)

    def answer(self, *names: str) -> None:
        for name in names:
            self.answers[name].set()


async def test_what_is_due_is_called_as_long_as_places_are_free() -> None:
    outside = Outside(["a", "b", "c"])
    outside.answer("a", "b", "c")
    assert await outside.calls.work() is True
    assert outside.recorded == ["a", "b"]
    assert await outside.calls.work() is False
    assert outside.recorded == ["a", "b", "c"]


async def test_silent_call_does_not_hold_up_the_others() -> None:
    outside = Outside(["silent", "a", "b"])
    outside.answer("a", "b")
    await outside.calls.work()
    await outside.calls.work()
    assert outside.recorded == ["a", "b"]
    outside.answer("silent")


async def test_no_more_calls_than_allowed_are_under_way_at_once() -> None:
    outside = Outside(["a", "b", "c"])
    await outside.calls.work()
    assert await outside.calls.work() is True, "asked again once a place is free"
    assert outside.called == ["a", "b"]
    outside.answer("a")
    await outside.calls.work()
    await outside.calls.work()
    assert outside.called == ["a", "b", "c"]
    outside.answer("b", "c")


async def test_call_that_fails_is_logged_and_frees_its_place() -> None:
    outside = Outside(["broken", "a"], concurrency=1)
    outside.answer("broken", "a")
    with structlog.testing.capture_logs() as logs:
        await outside.calls.work()
    await outside.calls.work()
    assert [(line["event"], line["order_id"]) for line in logs] == [
        ("answer not recorded", "broken")
    ]
    assert outside.recorded == ["a"]
