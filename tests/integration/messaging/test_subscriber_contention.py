"""When the database fails for one message only, the others go on, and that one is retried later. No
message is blamed for an error that all share.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import pytest
from aio_pika.abc import AbstractChannel, AbstractIncomingMessage
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine
from structlog.testing import capture_logs

from libs.messaging.envelope import Received
from libs.messaging.inbox import retries
from tests.fixtures.polling import eventually
from tests.integration.messaging import sample
from tests.integration.messaging.effects import Subscribe, reserved, until_reserved
from tests.integration.messaging.wire import dead, send, waiting

BLOCKED = 13
OTHERS = [1, 2, 3, 4, 5, 6]
SECONDS = 8.0
"""These seconds are far less than the lock or the statement lasts."""

LOCKED_ROW = "SELECT 1 FROM reservations WHERE total_cents = -1 FOR UPDATE"


def reserve_after(statement: str, limit: str) -> sample.Reaction:
    """Return a reaction that runs `statement` first, but only for the blocked message."""

    async def reaction(
        unit: sample.CreditUnitOfWork, event: Received[sample.OrderPlacedView]
    ) -> None:
        if event.data.total_cents == BLOCKED:
            await unit.connection.execute(text(limit))
            await unit.connection.execute(text(statement))
        await sample.reserve_credit(unit, event)

    return reaction


@asynccontextmanager
async def locked(engine: AsyncEngine, lock: str) -> AsyncIterator[None]:
    async with engine.connect() as connection, connection.begin():
        await connection.execute(text(lock))
        yield


@pytest.fixture
async def locked_row(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        insert = "INSERT INTO reservations (order_id, total_cents) VALUES (gen_random_uuid(), -1)"
        await connection.execute(text(insert))


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make all attempts within a second instead of two minutes."""
    monkeypatch.setattr(retries, "BLOCKED_DELAYS", (0.05,) * 7)
    monkeypatch.setattr(retries, "SHARED_CAUSE_SECONDS", 0.05)


def placed(*totals: int) -> list[bytes]:
    return [sample.on_the_wire(sample.order_placed(total_cents=total)) for total in totals]


async def next_dead(channel: AbstractChannel) -> AbstractIncomingMessage:
    async def found() -> AbstractIncomingMessage | None:
        return await dead(channel)

    message = await eventually(found)
    assert message is not None
    return message


@pytest.mark.usefixtures("locked_row")
async def test_a_locked_row_holds_up_its_own_message_and_no_other(
    engine: AsyncEngine, channel: AbstractChannel, subscribe: Subscribe
) -> None:
    reaction = reserve_after(LOCKED_ROW, "SET LOCAL lock_timeout = '500ms'")
    async with locked(engine, LOCKED_ROW):
        await send(channel, *placed(1, BLOCKED, *OTHERS[1:5]))
        with capture_logs() as logs:
            subscriber = await subscribe(reaction)
            assert sorted(await until_reserved(engine, 6, SECONDS)) == [-1, *OTHERS[:5]]

            async def told() -> bool:
                return "55P03" in (subscriber.note() or "")

            await eventually(told)
        await send(channel, *placed(OTHERS[5]))
        assert sorted(await until_reserved(engine, 7, SECONDS)) == [-1, *OTHERS]
        assert await subscriber.ready()
    assert (await until_reserved(engine, 8, SECONDS))[-1] == BLOCKED
    assert await dead(channel) is None
    told_of = [line for line in logs if line["event"] == "retried later"]
    assert {(line["sqlstate"], line["type"]) for line in told_of} == {("55P03", "order.placed.v1")}
    assert all(line["id"] for line in told_of)


async def test_a_statement_over_its_time_holds_up_its_own_message_and_no_other(
    engine: AsyncEngine, channel: AbstractChannel, subscribe: Subscribe
) -> None:
    slow = reserve_after("SELECT pg_sleep(30)", "SET LOCAL statement_timeout = '500ms'")
    await send(channel, *placed(1, BLOCKED, *OTHERS[1:]))
    await subscribe(slow)
    assert sorted(await until_reserved(engine, 6, SECONDS)) == OTHERS
    assert await dead(channel) is None


@pytest.mark.usefixtures("impatient", "locked_row")
async def test_a_message_that_stays_blocked_while_others_pass_ends_in_the_dead_letters(
    engine: AsyncEngine, channel: AbstractChannel, subscribe: Subscribe
) -> None:
    reaction = reserve_after(LOCKED_ROW, "SET LOCAL lock_timeout = '50ms'")
    async with locked(engine, LOCKED_ROW):
        await send(channel, *placed(BLOCKED, *OTHERS))
        subscriber = await subscribe(reaction)
        message = await next_dead(channel)
    assert json.loads(message.body)["data"]["total_cents"] == BLOCKED
    assert message.headers["x-attempts"] == len(retries.BLOCKED_DELAYS) + 1
    assert "55P03" in str(message.headers["x-error"])
    await subscriber.stop()
    assert sorted(await reserved(engine)) == [-1, *OTHERS]
    assert await waiting(channel) == 0
    assert subscriber.note() is None


@pytest.mark.usefixtures("impatient")
async def test_a_lock_on_what_all_messages_need_sends_none_to_the_dead_letters(
    engine: AsyncEngine, channel: AbstractChannel, subscribe: Subscribe
) -> None:
    tries = 0

    async def reaction(
        unit: sample.CreditUnitOfWork, event: Received[sample.OrderPlacedView]
    ) -> None:
        nonlocal tries
        tries += 1
        await unit.connection.execute(text("SET LOCAL lock_timeout = '20ms'"))
        await sample.reserve_credit(unit, event)

    async with locked(engine, "LOCK TABLE reservations"):
        await send(channel, *placed(*OTHERS))
        subscriber = await subscribe(reaction)

        async def tried_often() -> bool:
            return tries > 10 * len(OTHERS)

        await eventually(tried_often, 30)
    assert sorted(await until_reserved(engine, len(OTHERS), SECONDS)) == OTHERS
    await subscriber.stop()
    assert await dead(channel) is None


@pytest.mark.usefixtures("impatient")
async def test_a_message_that_ends_its_connection_each_time_holds_up_no_other(
    engine: AsyncEngine, channel: AbstractChannel, subscribe: Subscribe
) -> None:
    ending = reserve_after("SELECT pg_terminate_backend(pg_backend_pid())", "SELECT 1")
    await send(channel, *placed(BLOCKED, *OTHERS))
    await subscribe(ending)
    assert sorted(await until_reserved(engine, 6, SECONDS)) == OTHERS
    assert json.loads((await next_dead(channel)).body)["data"]["total_cents"] == BLOCKED


def missing_file() -> None:
    open("/nonexistent/file").close()  # noqa: PTH123


def slow_peer() -> None:
    raise TimeoutError


@pytest.mark.parametrize("own", [missing_file, slow_peer])
async def test_an_error_of_the_operating_system_in_a_reaction_is_its_own_failure(
    own: Callable[[], None], engine: AsyncEngine, channel: AbstractChannel, subscribe: Subscribe
) -> None:
    async def reaction(
        unit: sample.CreditUnitOfWork, event: Received[sample.OrderPlacedView]
    ) -> None:
        if event.data.total_cents == BLOCKED:
            own()
        await sample.reserve_credit(unit, event)

    await send(channel, *placed(1, BLOCKED, *OTHERS[1:]))
    subscriber = await subscribe(reaction)
    assert sorted(await until_reserved(engine, 6, SECONDS)) == OTHERS
    message = await next_dead(channel)
    assert json.loads(message.body)["data"]["total_cents"] == BLOCKED
    assert message.headers["x-attempts"] == 4
    await subscriber.stop()


async def test_stopping_does_not_wait_for_what_is_retried_later(
    engine: AsyncEngine, channel: AbstractChannel, subscribe: Subscribe
) -> None:
    slow = reserve_after("SELECT pg_sleep(30)", "SET LOCAL statement_timeout = '100ms'")
    subscriber = await subscribe(slow)
    await send(channel, *placed(BLOCKED))

    async def told() -> bool:
        return subscriber.note() is not None

    await eventually(told)
    async with asyncio.timeout(5):
        await subscriber.stop()

    async def given_back() -> bool:
        return await waiting(channel) == 1

    await eventually(given_back)
