"""A worker makes a limited number of calls at once; a silent call delays no other,
and is logged.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import structlog

from libs.calls.worker import RECORDED_AT_ONCE, CallTerms, CallWorker
from libs.kernel.calls import RetryPolicy, Unanswered
from tests.fixtures.polling import eventually

SECOND = timedelta(seconds=1)


@dataclass
class Call:
    name: str
    attempts: int = 1


class Outside:
    """`Outside` lists what is due, and answers each call when the test says so."""

    def __init__(self, *due: str, concurrency: int = 2, attempts: int = 1) -> None:
        self.due = [Call(name, attempts) for name in due]
        self.called: list[str] = []
        self.recorded: list[str] = []
        self.recording = 0
        self.answers = {name: asyncio.Event() for name in due}
        self.commits = asyncio.Event()
        self.commits.set()
        policy = RetryPolicy(SECOND, SECOND, silent_tries=3)
        transactions: Any = self
        self.worker: CallWorker[Any, Call, object, str] = CallWorker(
            "outside",
            transactions,
            CallTerms(concurrency, SECOND, 3 * SECOND, policy),
            every=0.02,
            claim=self.claim,
            call=self.call,
            record=self.record,
            recorded=lambda call, _, result: self.recorded.append(f"{call.name} {result}"),
            about=lambda call: {"order_id": call.name},
        )
        self.work = self.worker.work

    async def run(self, work: Any) -> Any:
        """Do the work in place of Transactions."""
        return await work(None)

    async def claim(self, _: Any, most: int) -> Sequence[Call]:
        taken, self.due = self.due[:most], self.due[most:]
        return taken

    async def call(self, call: Call) -> object:
        self.called.append(call.name)
        await self.answers[call.name].wait()
        return Unanswered("the outside did not answer") if call.name == "silent" else "yes"

    async def record(self, _: Any, call: Call, answer: object) -> str:
        self.recording += 1
        await self.commits.wait()
        self.recording -= 1
        if call.name == "broken":
            raise ConnectionError
        return "ok"

    def answer(self, *names: str) -> None:
        for name in names:
            self.answers[name].set()


async def test_due_calls_are_made_as_long_as_places_are_free() -> None:
    outside = Outside("a", "b", "c")
    outside.answer("a", "b", "c")
    assert await outside.work() is True
    assert outside.recorded == ["a ok", "b ok"]
    assert await outside.work() is False
    assert outside.recorded == ["a ok", "b ok", "c ok"]


async def test_silent_call_does_not_hold_up_the_others() -> None:
    outside = Outside("silent", "a", "b")
    outside.answer("a", "b")
    await outside.work()
    await outside.work()
    assert outside.recorded == ["a ok", "b ok"]
    outside.answer("silent")


async def test_no_more_calls_than_allowed_are_under_way_at_once() -> None:
    outside = Outside("a", "b", "c")
    await outside.work()
    assert await outside.work() is True, "asked again once a place is free"
    assert outside.called == ["a", "b"]
    outside.answer("a")
    await outside.work()
    await outside.work()
    assert outside.called == ["a", "b", "c"]
    outside.answer("b", "c")


async def test_of_many_answers_at_once_only_a_few_take_a_connection() -> None:
    names = [str(number) for number in range(8)]
    outside = Outside(*names, concurrency=8)
    outside.answer(*names)
    outside.commits.clear()
    await outside.work()
    assert (len(outside.called), outside.recording) == (8, RECORDED_AT_ONCE)
    outside.commits.set()

    async def all_recorded() -> bool:
        return len(outside.recorded) == 8

    await eventually(all_recorded)


async def test_answer_that_is_not_recorded_is_logged_and_frees_its_place() -> None:
    outside = Outside("broken", "a", concurrency=1)
    outside.answer("broken", "a")
    with structlog.testing.capture_logs() as logs:
        await outside.work()
    await outside.work()
    (line,) = logs
    assert (line["event"], line["order_id"]) == ("answer not recorded", "broken")
    assert outside.recorded == ["a ok"]


async def test_silence_is_a_warning_until_a_person_is_needed() -> None:
    levels = []
    for attempts in (1, 2, 3, 4):
        outside = Outside("silent", attempts=attempts)
        outside.answer("silent")
        with structlog.testing.capture_logs() as logs:
            await outside.work()
        (line,) = logs
        assert (line["event"], line["attempts"]) == ("outside silent", attempts)
        levels.append(line["log_level"])
    assert levels == ["warning", "warning", "error", "error"]
