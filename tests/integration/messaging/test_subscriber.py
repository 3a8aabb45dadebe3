"""Good messages have one effect each, share transactions, and are acknowledged after the commit."""

import asyncio
import json
from typing import Any

import pytest
from aio_pika.abc import AbstractChannel
from opentelemetry import trace
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine

from libs.kernel.ids import uuid7
from libs.messaging.envelope import Received
from libs.messaging.inbox.consumer import QueueConsumer
from tests.fixtures.polling import eventually
from tests.integration.messaging import sample
from tests.integration.messaging.effects import (
    Subscribe,
    counted,
    inbox_rows,
    outbox_bodies,
    reserved,
    until_reserved,
)
from tests.integration.messaging.wire import dead, send, waiting


async def commits(engine: AsyncEngine) -> int:
    """Return how many transactions wrote the messages in the inbox."""
    async with engine.connect() as connection:
        found = await connection.execute(text("SELECT count(DISTINCT xmin::text) FROM inbox"))
        return int(found.scalar_one())


async def until_taken(channel: AbstractChannel) -> None:
    """Wait until the broker has delivered all messages of the queue."""

    async def none_waits() -> bool:
        return await waiting(channel) == 0

    await eventually(none_waits)


async def test_a_message_leaves_effect_inbox_row_and_event_and_is_acknowledged(
    engine: AsyncEngine, channel: AbstractChannel, subscribe: Subscribe, broker: str
) -> None:
    handled = counted("messaging_handled_total")
    lags = counted("messaging_lag_seconds_count")
    subscriber = await subscribe()
    event_id = uuid7()
    await send(channel, sample.on_the_wire(sample.order_placed(), event_id))
    await until_reserved(engine, 1)
    assert await inbox_rows(engine) == 1
    [caused] = [json.loads(body) for body in await outbox_bodies(engine)]
    assert caused["type"] == "credit.reserved.v1"
    assert caused["causationid"] == str(event_id)
    await subscriber.stop()
    assert await waiting(channel) == 0
    assert counted("messaging_handled_total") == handled + 1
    assert counted("messaging_lag_seconds_count") == lags + 1


async def test_a_second_copy_is_acknowledged_and_counted_and_has_no_effect(
    engine: AsyncEngine, channel: AbstractChannel, subscribe: Subscribe
) -> None:
    before = counted("messaging_duplicates_total")
    subscriber = await subscribe()
    body = sample.on_the_wire(sample.order_placed())
    await send(channel, body, body)
    await until_reserved(engine, 1)
    await send(channel, body)

    async def both_copies_met() -> bool:
        return counted("messaging_duplicates_total") == before + 2

    await eventually(both_copies_met)
    await subscriber.stop()
    assert await reserved(engine) == [100]
    assert len(await outbox_bodies(engine)) == 1
    assert await waiting(channel) == 0
    assert await dead(channel) is None


async def test_messages_that_wait_share_transactions_and_a_purchase_keeps_its_order(
    engine: AsyncEngine, channel: AbstractChannel, subscribe: Subscribe
) -> None:
    orders = [uuid7() for _ in range(3)]
    placed = [sample.order_placed(orders[n % 3], total_cents=n) for n in range(60)]
    await send(channel, *map(sample.on_the_wire, placed))
    await subscribe()
    totals = await until_reserved(engine, 60)
    for remainder in range(3):
        assert [n for n in totals if n % 3 == remainder] == list(range(remainder, 60, 3))
    assert await commits(engine) < 30


async def test_a_reaction_that_lingers_takes_what_comes_meanwhile_into_its_transaction(
    engine: AsyncEngine, channel: AbstractChannel, subscribe: Subscribe
) -> None:
    await subscribe(batch_delay=1.0)
    for total in (1, 2, 3):
        await send(channel, sample.on_the_wire(sample.order_placed(total_cents=total)))
        await until_taken(channel)
    assert await reserved(engine) == []
    assert sorted(await until_reserved(engine, 3)) == [1, 2, 3]
    assert await commits(engine) == 1


async def test_stopping_ends_the_lingering_and_settles_what_was_taken(
    engine: AsyncEngine,
    channel: AbstractChannel,
    subscribe: Subscribe,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    arrived = asyncio.Event()  # the broker counts a message as handed out while it is on its way
    take = QueueConsumer.take

    def noted(consumer: Any, message: Any) -> None:
        take(consumer, message)
        arrived.set()

    monkeypatch.setattr(QueueConsumer, "take", noted)
    subscriber = await subscribe(batch_delay=60.0)
    await send(channel, sample.on_the_wire(sample.order_placed()))
    async with asyncio.timeout(30):
        await arrived.wait()
    assert await reserved(engine) == []
    async with asyncio.timeout(5):
        await subscriber.stop()
    assert await reserved(engine) == [100]
    assert await waiting(channel) == 0


async def test_a_field_nobody_knows_is_tolerated(
    engine: AsyncEngine, channel: AbstractChannel, subscribe: Subscribe
) -> None:
    envelope = json.loads(sample.on_the_wire(sample.order_placed(total_cents=7)))
    envelope["novelty"] = envelope["data"]["novelty"] = 1
    await subscribe()
    await send(channel, json.dumps(envelope).encode())
    assert await until_reserved(engine, 1) == [7]


async def test_two_processes_that_get_the_same_messages_at_once_cause_one_effect_each(
    engine: AsyncEngine, channel: AbstractChannel, subscribe: Subscribe
) -> None:
    bodies = [sample.on_the_wire(sample.order_placed(total_cents=n)) for n in range(50)]
    before = counted("messaging_handled_total") + counted("messaging_duplicates_total")
    await asyncio.gather(send(channel, *bodies), send(channel, *reversed(bodies)))
    one, other = await asyncio.gather(subscribe(), subscribe())
    await send(channel, *bodies)

    async def all_met() -> bool:
        met = counted("messaging_handled_total") + counted("messaging_duplicates_total")
        return met - before == 150

    await eventually(all_met)
    await asyncio.gather(one.stop(), other.stop())
    assert sorted(await reserved(engine)) == list(range(50))
    assert await waiting(channel) == 0
    assert await dead(channel) is None


async def test_a_reaction_runs_in_the_trace_of_its_event(
    engine: AsyncEngine, channel: AbstractChannel, subscribe: Subscribe
) -> None:
    seen: list[int] = []

    async def note(unit: sample.CreditUnitOfWork, event: Received[sample.OrderPlacedView]) -> None:
        seen.append(trace.get_current_span().get_span_context().trace_id)
        await sample.reserve_credit(unit, event)

    await subscribe(note)
    envelope = json.loads(sample.on_the_wire(sample.order_placed()))
    envelope["traceparent"] = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
    await send(channel, json.dumps(envelope).encode())
    await send(channel, sample.on_the_wire(sample.order_placed()))
    await until_reserved(engine, 2)
    assert seen == [0x4BF92F3577B34DA6A3CE929D0E0E4736, 0]


async def test_stopping_under_load_loses_nothing_and_repeats_nothing(
    engine: AsyncEngine, channel: AbstractChannel, subscribe: Subscribe
) -> None:
    totals = list(range(600))
    bodies = [sample.on_the_wire(sample.order_placed(total_cents=n)) for n in totals]
    sending = asyncio.create_task(send(channel, *bodies))
    first = await subscribe()
    await until_reserved(engine, 20)
    await first.stop()
    done = await reserved(engine)
    assert len(done) < len(totals)
    await sending

    async def the_others_wait() -> bool:
        return await waiting(channel) == len(totals) - len(done)

    await eventually(the_others_wait)
    await subscribe()
    assert sorted(await until_reserved(engine, 600)) == totals
