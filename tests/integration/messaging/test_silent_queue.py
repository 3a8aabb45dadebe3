"""A queue that accepts messages without confirming them delays its own events only."""

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import pytest

from tests.fixtures.own_rabbitmq import OwnRabbitMQ, own_rabbitmq
from tests.fixtures.polling import eventually
from tests.integration.messaging.relaying import QUICK, Outlet, outlet

SICK = "peer.on.paid"
PUBLISH_TIMEOUT = 5.0


@pytest.fixture
def rabbitmq() -> Iterator[OwnRabbitMQ]:
    with own_rabbitmq() as server:
        yield server


@pytest.fixture
async def shop(database: str, rabbitmq: OwnRabbitMQ) -> AsyncIterator[Outlet]:
    async with outlet(database, rabbitmq.url, bound=False) as made:
        await made.bind("sold.v1")
        await made.bind("paid.v1", SICK)
        yield made


async def _tell(rabbitmq: OwnRabbitMQ, what: str) -> None:
    """Suspend or resume the process that serves the queue. A suspended one neither confirms nor
    refuses, as after the loss of a majority.
    """
    server = f"whereis('%2F_{SICK}')"
    await asyncio.to_thread(rabbitmq.control, "eval", f"ok = sys:{what}({server}).")


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.parametrize("published_before", [True, False])
async def test_a_queue_that_does_not_confirm_holds_up_its_own_events_only(
    shop: Outlet, rabbitmq: OwnRabbitMQ, *, published_before: bool
) -> None:
    """Before a channel's first message to a queue, the broker asks the queue. Meanwhile it answers
    nothing on that channel.
    """
    settings = replace(QUICK, publish_timeout=PUBLISH_TIMEOUT)
    async with shop.relay(settings=settings) as relay:

        async def ready() -> bool:
            return relay.ready

        await eventually(ready)
        if published_before:
            for n in range(20):  # so that each claimer publishes some
                await shop.write(f"before-{n}", event_type="paid.v1")
            await shop.drained()
            await shop.received(SICK)
        await _tell(rabbitmq, "suspend")
        for n in range(3):
            await shop.write(f"paid-{n}", event_type="paid.v1")
            await shop.write(f"sold-{n}")

        async def only_the_sick_wait() -> bool:
            return await shop.count("type <> 'paid.v1'") == 0

        async def held_back() -> bool:
            """Return whether the type is held back and only its events wait. One claimer may hold
            it back while another still waits for confirms.
            """
            silent = relay.problems == ("paid.v1 is not confirmed and held back",)
            return silent and await only_the_sick_wait()

        await eventually(held_back, timeout=4 * PUBLISH_TIMEOUT)
        took = []
        for n in range(20):
            started = time.monotonic()
            await shop.write(f"late-{n}", event_type="paid.v1")
            await shop.write(f"order-{n}", 3)
            await eventually(only_the_sick_wait)
            took.append(time.monotonic() - started)
        assert max(took) < PUBLISH_TIMEOUT / 2, "nothing else waits"
        assert await shop.count("type = 'paid.v1' AND attempts > 0") == 23
        await _tell(rabbitmq, "resume")
        await shop.drained()
        await eventually(ready)
    assert {body for _, body in await shop.received(SICK)} == {
        *(f"paid-{n} 1" for n in range(3)),
        *(f"late-{n} 1" for n in range(20)),
    }
