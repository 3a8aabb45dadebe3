"""Workers claim due calls of an external system from a real table, each call by one worker."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import Column, Integer, MetaData, Table, Text, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncConnection, AsyncEngine, create_async_engine

from libs.calls.attention import NEEDS_ATTENTION, attention_count
from libs.calls.tables import IN_A_WHILE, call_columns, claim_due, next_attempt
from libs.calls.worker import CallTerms, CallWorker
from libs.kernel.calls import RetryPolicy
from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import Transactions, UnitOfWork
from libs.messaging.schema.tables import messaging_tables

METADATA = MetaData()
MESSAGING = messaging_tables(METADATA, source="asking")
QUESTIONS = Table(
    "questions",
    METADATA,
    Column("name", Text, primary_key=True),
    Column("tenant_id", Text, nullable=False, server_default="default"),
    Column("answers", Integer, nullable=False, server_default="0"),
    *call_columns("questions", "name"),
)
CLAIM = claim_due(QUESTIONS, QUESTIONS.c.name, [QUESTIONS.c.name, QUESTIONS.c.attempts])
ADD = insert(QUESTIONS).values(attempts=0, next_attempt=IN_A_WHILE)
SAVE = (
    update(QUESTIONS)
    .where(QUESTIONS.c.name == text(":which"))
    .values(answers=QUESTIONS.c.answers + 1, claim=None, next_attempt=next_attempt(QUESTIONS))
)
LEASE, HOUR = timedelta(seconds=30), timedelta(hours=1)
POLICY = RetryPolicy(timedelta(seconds=1), HOUR)


@dataclass
class Question:
    name: str
    attempts: int


@dataclass
class Asking:
    engine: AsyncEngine
    transactions: Transactions[UnitOfWork]

    async def add(self, *names: str, call_in: timedelta = timedelta(0)) -> None:
        async with self.engine.begin() as connection:
            for name in names:
                await connection.execute(ADD, {"name": name, "call_in": call_in})

    async def claim(self, most: int = 10, lease: timedelta = LEASE) -> list[str]:
        async with self.engine.begin() as connection:
            return [each.name for each in await claimed(connection, most, lease)]

    async def save(self, name: str, *, awaits_call: bool, call_in: timedelta | None) -> None:
        values = {"which": name, "awaits_call": awaits_call, "call_in": call_in}
        async with self.engine.begin() as connection:
            await connection.execute(SAVE, values)

    async def row(self, name: str) -> Any:
        wait = text("round(extract(epoch FROM next_attempt - now())) AS wait")
        query = select(QUESTIONS, wait).where(QUESTIONS.c.name == name)
        async with self.engine.connect() as connection:
            return (await connection.execute(query)).one()


async def claimed(connection: AsyncConnection, most: int, lease: timedelta) -> Sequence[Question]:
    rows = await connection.execute(CLAIM, {"most": most, "lease": lease})
    return [Question(row.name, row.attempts) for row in rows]


@pytest.fixture
async def asking(database: str) -> AsyncIterator[Asking]:
    engine = create_async_engine(database)
    async with engine.begin() as connection:
        await connection.run_sync(METADATA.create_all)
    yield Asking(engine, Transactions(engine, Outbox("asking", MESSAGING), UnitOfWork))
    await engine.dispose()


def worker_of(asking: Asking, asked: list[tuple[str, int]]) -> CallWorker[Any, Question, str, None]:
    """Return a worker. `asked` gets each call with the number of connections in use during it."""

    async def call(question: Question) -> str:
        asked.append((question.name, asking.engine.pool.checkedout()))  # type: ignore[attr-defined]
        return "yes"

    async def record(uow: UnitOfWork, question: Question, _: str) -> None:
        done = {"which": question.name, "awaits_call": False, "call_in": None}
        await uow.connection.execute(SAVE, done)

    return CallWorker(
        "outside",
        asking.transactions,
        CallTerms(4, timedelta(seconds=5), LEASE, POLICY),
        every=1.0,
        claim=lambda uow, most: claimed(uow.connection, most, LEASE),
        call=call,
        record=record,
        recorded=lambda *_: None,
        about=lambda question: {"name": question.name},
    )


async def test_the_system_is_called_with_no_transaction_open(asking: Asking) -> None:
    await asking.add("a")
    asked: list[tuple[str, int]] = []
    await worker_of(asking, asked).work()
    assert asked == [("a", 0)]
    row = await asking.row("a")
    assert (row.answers, row.attempts, row.next_attempt) == (1, 1, None)


async def test_workers_at_once_make_each_call_once(asking: Asking) -> None:
    names = [f"q{number}" for number in range(8)]
    await asking.add(*names)
    asked: list[tuple[str, int]] = []
    await asyncio.gather(*(worker_of(asking, asked).work() for _ in range(4)))
    assert sorted(name for name, _ in asked) == names


async def test_nothing_is_claimed_before_its_time(asking: Asking) -> None:
    await asking.add("later", call_in=HOUR)
    await asking.add("now")
    assert await asking.claim() == ["now"]


async def test_the_call_that_is_due_longest_is_claimed_first(asking: Asking) -> None:
    await asking.add("second", call_in=-LEASE)
    await asking.add("first", call_in=-HOUR)
    assert [await asking.claim(1), await asking.claim(1)] == [["first"], ["second"]]


async def test_a_claim_keeps_others_away_until_its_lease_ends(asking: Asking) -> None:
    await asking.add("a")
    assert await asking.claim() == ["a"]
    first = await asking.row("a")
    assert await asking.claim() == []
    await asking.save("a", awaits_call=True, call_in=timedelta(0))
    assert await asking.claim(lease=-LEASE) == ["a"]
    assert await asking.claim() == ["a"], "the lease has ended"
    row = await asking.row("a")
    assert row.attempts == 3
    assert row.claim not in (None, first.claim)


async def test_a_locked_row_is_left_to_who_has_locked_it(asking: Asking) -> None:
    await asking.add("locked", "free")
    locking = select(QUESTIONS.c.name).where(QUESTIONS.c.name == "locked").with_for_update()
    async with asking.engine.begin() as connection:
        await connection.execute(locking)
        async with asyncio.timeout(10):
            assert await asking.claim() == ["free"]


@pytest.mark.parametrize(
    ("awaits_call", "call_in", "wait"),
    [(True, HOUR, 3600), (True, None, 60), (False, HOUR, None), (False, None, None)],
)
async def test_a_saved_row_waits_for_its_next_call(
    asking: Asking, *, awaits_call: bool, call_in: timedelta | None, wait: int | None
) -> None:
    await asking.add("a", call_in=timedelta(minutes=1))
    await asking.save("a", awaits_call=awaits_call, call_in=call_in)
    found = (await asking.row("a")).wait
    assert found == wait if wait is None else abs(found - wait) <= 2


async def test_calls_that_wait_for_a_person_are_counted(asking: Asking) -> None:
    await asking.add("a", "b", "c")
    async with asking.engine.begin() as connection:
        await connection.execute(update(QUESTIONS).values(needs_attention=QUESTIONS.c.name != "c"))
    await attention_count("asking", asking.engine, QUESTIONS).work()
    assert NEEDS_ATTENTION.labels("asking")._value.get() == 2
