"""A row is deleted only after the broker's confirm. A row that fails delays only its subject."""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta

import aiormq
import asyncpg
import pytest
from aiormq.channel import Channel

from libs.messaging.relay.claims import Limits, Message
from libs.messaging.relay.frames import Frames
from tests.fixtures.polling import eventually
from tests.fixtures.proxy import proxy
from tests.integration.messaging.relaying import QUEUE, QUICK, SERVICE, Outlet, outlet


@pytest.fixture
async def shop(database: str, vhost: str) -> AsyncIterator[Outlet]:
    async with outlet(database, vhost, bound=False) as made:
        await made.bind("sold.v1")
        yield made


async def _error(shop: Outlet, subject: str) -> asyncpg.Record:
    async def failed() -> asyncpg.Record | None:
        return await shop.db.fetchrow(
            "SELECT id, error, attempts FROM outbox WHERE subject = $1 AND attempts > 0", subject
        )

    found = await eventually(failed)
    assert found is not None
    return found


async def test_an_unroutable_event_stays_and_only_its_subject_waits(shop: Outlet) -> None:
    await shop.write("stuck", event_type="lost.v1")
    await shop.write("stuck", 5, first=2)
    await shop.write("free", 5)
    async with shop.relay():
        assert "NO_ROUTE" in (await _error(shop, "stuck"))["error"]

        async def rest_is_gone() -> bool:
            return await shop.count("subject <> 'stuck'") == 0

        await eventually(rest_is_gone)
        assert await shop.count() == 6
        assert {body for _, body in await shop.received()} == {f"free {n}" for n in range(1, 6)}

        await shop.bind("lost.v1")
        await shop.drained()
    assert [body for _, body in await shop.received()] == [f"stuck {n}" for n in range(1, 7)]


async def test_an_event_declared_final_goes_out_without_a_consumer(shop: Outlet) -> None:
    await shop.write("order", event_type="closed.v1")
    async with shop.relay(unconsumed=["closed.v1"]):
        await shop.drained()


async def test_an_event_the_broker_nacks_is_sent_again_later(shop: Outlet) -> None:
    full = {"x-queue-type": "classic", "x-max-length": 1, "x-overflow": "reject-publish"}
    await shop.bind("full.v1", "peer.full", **full)
    await shop.write("first", event_type="full.v1")
    async with shop.relay():
        await shop.drained()
        await shop.write("second", event_type="full.v1")
        assert "nacked" in (await _error(shop, "second"))["error"]
        await shop.received("peer.full")
        await shop.drained()
    assert [body for _, body in await shop.received("peer.full")] == ["second 1"]


async def test_an_event_whose_confirm_is_late_goes_out_again_under_the_same_id(
    shop: Outlet,
) -> None:
    async with (
        proxy(shop.broker) as (line, through),
        shop.relay(settings=replace(QUICK, publish_timeout=0.5), broker=through) as relay,
    ):

        async def connected() -> bool:
            return relay.ready

        await eventually(connected)
        line.silence()
        await shop.write("order")
        failed = await _error(shop, "order")
        assert "no confirm within 0.5 s" in failed["error"]
        await line.heal()
        await shop.drained()
    received = await shop.received()
    assert {identifier for identifier, _ in received} == {str(failed["id"])}


async def test_rows_wait_untouched_while_the_exchange_is_missing(shop: Outlet) -> None:
    async with shop.channel() as channel:
        await channel.exchange_delete(SERVICE)
    await shop.write("order", 3)
    async with shop.relay() as relay:

        async def says_so() -> bool:
            return any("exchange shop is missing" in problem for problem in relay.problems)

        await eventually(says_so)
        assert await shop.count("attempts = 0") == 3
        async with shop.channel() as channel:
            await channel.exchange_declare(SERVICE, exchange_type="topic", durable=True)
        await shop.bind()
        await shop.drained()


async def test_rows_survive_an_exchange_that_vanishes_under_an_open_channel(shop: Outlet) -> None:
    async with shop.relay() as relay:
        await shop.write("before")
        await shop.drained()
        async with shop.channel() as channel:
            await channel.exchange_delete(SERVICE)
        await shop.write("after", 3)

        async def says_so() -> bool:
            return not relay.ready

        await eventually(says_so)
        assert await shop.count() == 3
        async with shop.channel() as channel:
            await channel.exchange_declare(SERVICE, exchange_type="topic", durable=True)
        await shop.bind()
        await shop.drained()
    assert [body for _, body in await shop.received()][-3:] == ["after 1", "after 2", "after 3"]


async def test_events_whose_queue_is_missing_are_held_back_while_others_flow(shop: Outlet) -> None:
    expected = {"sold.v1": [QUEUE], "paid.v1": [QUEUE, "late.on.paid.v1"]}
    await shop.bind("paid.v1")
    await shop.write("held", event_type="paid.v1")
    await shop.write("free")
    slow = replace(QUICK, backoff=30, backoff_most=30)
    async with shop.relay(settings=slow, expected_queues=expected) as relay:
        assert "late.on.paid.v1 is missing" in (await _error(shop, "held"))["error"]
        assert not relay.ready

        async def only_the_held_is_left() -> bool:
            return await shop.count() == 1

        await eventually(only_the_held_is_left)
        await shop.bind("paid.v1", "late.on.paid.v1")
        await shop.drained()
        assert relay.ready
    assert [body for _, body in await shop.received("late.on.paid.v1")] == ["held 1"]


async def test_an_event_older_than_the_inbox_remembers_is_parked_for_a_person(
    shop: Outlet,
) -> None:
    await shop.write("old", 2)
    await shop.write("new")
    await shop.db.execute(
        "UPDATE outbox SET created_at = now() - interval '8 days' WHERE subject = 'old'"
    )
    async with shop.relay(settings=replace(QUICK, limits=Limits(window=timedelta(days=7)))):
        assert "older than the inbox remembers" in (await _error(shop, "old"))["error"]

        async def only_the_old_are_left() -> bool:
            return await shop.count() == 2

        await eventually(only_the_old_are_left)
        assert await shop.count("due_at = 'infinity'") >= 1
    assert [body for _, body in await shop.received()] == ["new 1"]


async def test_a_message_the_broker_closes_the_channel_over_holds_up_nobody_else(
    shop: Outlet, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.write("bad")
    for n in range(10):
        await shop.write(f"good-{n}")
    bad = await shop.db.fetchval("SELECT id FROM outbox WHERE subject = 'bad'")
    genuine, forged = Frames.of, Frames(SERVICE, "somebody-else", ()).of

    def of(frames: Frames, message: Message, channel: Channel) -> bytes:
        return forged(message, channel) if message.id == bad else genuine(frames, message, channel)

    monkeypatch.setattr(Frames, "of", of)
    async with shop.relay(settings=replace(QUICK, backoff=30, backoff_most=30)):
        assert "PRECONDITION_FAILED" in (await _error(shop, "bad"))["error"]

        async def only_the_bad_is_left() -> bool:
            return await shop.count() == 1

        await eventually(only_the_bad_is_left)
        assert await shop.count("attempts > 0") == 1


async def test_an_event_returned_while_each_goes_alone_counts_as_failed_at_once(
    shop: Outlet, monkeypatch: pytest.MonkeyPatch
) -> None:
    await shop.write("bad")
    await shop.write("lost", event_type="lost.v1")
    bad, lost = [row["id"] for row in await shop.db.fetch("SELECT id FROM outbox ORDER BY seq")]
    genuine, forged = Frames.of, Frames(SERVICE, "somebody-else", ()).of
    sent: list[str] = []

    def of(frames: Frames, message: Message, channel: Channel) -> bytes:
        sent.append(message.type)
        return forged(message, channel) if message.id == bad else genuine(frames, message, channel)

    monkeypatch.setattr(Frames, "of", of)
    async with shop.relay(settings=replace(QUICK, backoff=30, backoff_most=30)):
        assert "PRECONDITION_FAILED" in (await _error(shop, "bad"))["error"]
        assert "NO_ROUTE" in (await _error(shop, "lost"))["error"]
    assert await shop.count("attempts = 1") == 2
    assert sent.count("lost.v1") == 2, "once beside the others, once alone"
    assert lost != bad


async def test_a_type_no_routing_key_can_carry_fails_alone(shop: Outlet) -> None:
    await shop.write("long", event_type="x" * 300)
    await shop.write("free")
    async with shop.relay():
        assert "exceeds maximum length" in (await _error(shop, "long"))["error"]

        async def only_the_long_is_left() -> bool:
            return await shop.count() == 1

        await eventually(only_the_long_is_left)


async def test_a_broker_that_hangs_up_while_connecting_is_named_as_the_trouble(
    shop: Outlet, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def cut(_: aiormq.Connection) -> None:
        raise StopAsyncIteration  # aiormq raises this for it

    monkeypatch.setattr(aiormq.Connection, "connect", cut)
    await shop.write("order")
    async with shop.relay() as relay:

        async def says_so() -> bool:
            return any(problem.startswith("broker:") for problem in relay.problems)

        await eventually(says_so)
        assert not any(problem.startswith("database:") for problem in relay.problems)
        assert await shop.count("attempts = 0") == 1
        monkeypatch.undo()
        await shop.bind()
        await shop.drained()
