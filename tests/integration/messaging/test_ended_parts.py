"""A part of a relay that ends without `stop` makes the relay unready and is logged with the reason.

No part is known to end by itself. A protocol library may cancel a task in which the relay waits.
"""

import asyncio
import logging
from contextlib import suppress
from dataclasses import replace

import pytest

from libs.messaging.relay.claimer import Claimer
from libs.messaging.relay.janitor import Janitor
from tests.fixtures.polling import eventually
from tests.integration.messaging.relaying import QUICK, outlet


@pytest.mark.parametrize(
    ("where", "name", "part"),
    [(Claimer, "_one_batch", "claimer 0"), (Janitor, "_count", "janitor")],
)
async def test_a_part_of_a_relay_whose_library_cancels_it_is_named_and_goes_on(
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
        with caplog.at_level(logging.WARNING):
            monkeypatch.setattr(where, name, cancelled)

            async def says_so() -> bool:
                logged = any(f"shop relay: {part}: " in message for message in caplog.messages)
                return logged and not relay.ready

            await eventually(says_so)
        monkeypatch.undo()
        await shop.write("order")
        await shop.drained()
        await eventually(ready)


async def test_a_relay_stops_though_a_library_swallows_its_cancellation(
    database: str, vhost: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    inside = asyncio.Event()

    async def deaf(*_: object) -> None:
        inside.set()
        with suppress(asyncio.CancelledError):
            await asyncio.Event().wait()

    settings = replace(QUICK, publish_timeout=0.5)
    async with outlet(database, vhost) as shop, shop.relay(settings=settings) as relay:

        async def ready() -> bool:
            return relay.ready

        await eventually(ready)
        monkeypatch.setattr(Janitor, "_count", deaf)
        async with asyncio.timeout(30):
            await inside.wait()
            await relay.stop()
        left = [task for task in asyncio.all_tasks() if task.get_name().startswith("shop relay")]
        assert not left
