"""Only an answer in time counts. Answers are counted, and the waits before the next call grow."""

import asyncio
from datetime import timedelta

import pytest
from prometheus_client import REGISTRY
from pydantic import ValidationError

from libs.calls.answers import AnswerCounter
from libs.calls.settings import CallSettings
from libs.kernel.calls import RetryPolicy, Unanswered, answer_within

Answer = Unanswered | str
SHORT, LONG = timedelta(seconds=0.01), timedelta(seconds=60)


class Settings(CallSettings):
    called = "outside"
    outside_concurrency: int = 7
    outside_patience_seconds: float = 5
    outside_lease_seconds: float = 30
    outside_first_retry_seconds: float = 1
    outside_longest_retry_seconds: float = 300
    outside_silent_tries: int = 4


def test_waits_double_up_to_the_longest() -> None:
    policy = RetryPolicy(timedelta(seconds=1), timedelta(seconds=5))
    assert [policy.delay(attempt).total_seconds() for attempt in (1, 2, 3, 4)] == [1, 2, 4, 5]
    assert policy.delay(1_000_000) == timedelta(seconds=5)


async def test_an_answer_in_time_is_the_answer() -> None:
    async def call() -> str:
        return "yes"

    assert await answer_within(LONG, "outside", call()) == "yes"


async def test_a_call_without_an_answer_is_given_up_in_time() -> None:
    async with asyncio.timeout(5):
        answer = await answer_within(SHORT, "outside", asyncio.Event().wait())
    assert answer == Unanswered("the outside did not answer: TimeoutError")


async def test_a_call_that_fails_has_no_answer() -> None:
    async def call() -> str:
        raise ConnectionResetError

    answer = await answer_within(LONG, "outside", call())
    assert answer == Unanswered("the outside did not answer: ConnectionResetError")


def test_terms_are_the_settings_behind_the_name_of_the_system() -> None:
    terms = Settings().call_terms(RetryPolicy)
    assert (terms.concurrency, terms.patience, terms.lease) == (
        7,
        timedelta(seconds=5),
        timedelta(seconds=30),
    )
    policy = RetryPolicy(timedelta(seconds=1), timedelta(seconds=300), silent_tries=4)
    assert terms.policy == policy


def test_lease_that_ends_within_a_call_is_refused() -> None:
    with pytest.raises(ValidationError, match="OUTSIDE_LEASE_SECONDS must be more than a second"):
        Settings(outside_patience_seconds=30)


def test_every_answer_is_counted_from_zero() -> None:
    def counted(**labels: str) -> float | None:
        return REGISTRY.get_sample_value("test_answers_total", labels)

    counter = AnswerCounter("test_answers_total", "…", Answer, calls=("ask", "tell"))
    assert counted(call="ask", answer="str") == counted(call="tell", answer="unanswered") == 0
    counter.count(Unanswered("no"), "tell")
    assert counted(call="tell", answer="unanswered") == 1
    assert counted(call="ask", answer="unanswered") == 0
