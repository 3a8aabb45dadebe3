"""A relay in another process hears of a commit through NOTIFY, sent beside the transaction."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from libs.messaging.outbox.wakeup import Bell, Listener, Notifier
from tests.fixtures.polling import eventually
from tests.integration.messaging.relaying import Outlet, outlet


@pytest.fixture
async def shop(database: str, vhost: str) -> AsyncIterator[Outlet]:
    async with outlet(database, vhost, bound=False) as made:
        yield made


async def _listening(shop: Outlet, bell: Bell) -> None:
    async def there() -> bool:
        return bell.rings > 0  # rung once when it began to listen

    await eventually(there)
    await bell.wait(1)


async def test_many_rings_become_few_notifications_and_wake_the_listener(shop: Outlet) -> None:
    bell = Bell()
    listener, notifier = Listener(shop.dsn, bell), Notifier(shop.dsn)
    await listener.start()
    await notifier.start()
    try:
        await _listening(shop, bell)
        before = bell.rings
        for _ in range(100):
            notifier.ring()
            await asyncio.sleep(0.002)  # the commits of a fifth of a second
        assert await bell.wait(5)
        assert bell.rings - before < 50
    finally:
        await listener.stop()
        await notifier.stop()


async def test_listener_and_notifier_come_back_after_their_connections_ended(
    shop: Outlet,
) -> None:
    bell = Bell()
    listener, notifier = Listener(shop.dsn, bell), Notifier(shop.dsn)
    await listener.start()
    await notifier.start()
    try:
        await _listening(shop, bell)
        before = bell.rings
        await shop.db.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

        async def listens_again() -> bool:
            return bell.rings > before

        await eventually(listens_again)
        await bell.wait(1)

        async def heard() -> bool:
            notifier.ring()
            return await bell.wait(0.5)

        await eventually(heard)
    finally:
        await listener.stop()
        await notifier.stop()
