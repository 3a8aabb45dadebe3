"""A part that ends although nobody stopped it: readiness turns red and the log says why.

None has a known way to end. What the protocol libraries do with tasks they cancel is theirs.
"""

import asyncio
import logging
from contextlib import suppress

import pytest

from libs.messaging.relay import sweep
from libs.messaging.relay.relay import Relay
from tests.fixtures.polling import eventually
from tests.integration.messaging.relaying import outlet


@pytest.mark.parametrize(
    ("where", "name", "part"),
    [(Relay, "_round", "lane 0"), (sweep, "lowest_below", "tidying")],
)
async def test_a_relay_whose_part_has_ended_is_not_ready(
    where: object,
    name: str,
    part: str,
    database: str,
    vhost: str,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    async def cancelled(*_: object) -> None:
        raise asyncio.CancelledError

    async with outlet(database, vhost) as shop, shop.relay() as relay:

        async def ready() -> bool:
            return relay.ready

        await eventually(ready)
        with caplog.at_level(logging.CRITICAL):
            monkeypatch.setattr(where, name, cancelled)

            async def says_so() -> bool:
                logged = f"shop relay: {part} ended" in caplog.messages
                return logged and f"{part} has ended" in relay.problems

            await eventually(says_so)


async def test_a_relay_stops_though_a_library_swallows_its_cancellation(
    database: str, vhost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = asyncio.Event()

    async def deaf(*_: object) -> None:
        inside.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    async with outlet(database, vhost) as shop, shop.relay() as relay:

        async def ready() -> bool:
            return relay.ready

        await eventually(ready)
        monkeypatch.setattr(sweep, "lowest_below", deaf)
        async with asyncio.timeout(10):
            await inside.wait()
            await relay.stop()
        assert all(task.done() for task in relay._tasks)
