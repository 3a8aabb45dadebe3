"""A commit wakes a relay in another process through NOTIFY, which is sent outside the
transaction.
"""

import asyncio
from collections.abc import AsyncIterator

import pytest

from libs.messaging.outbox.wakeup import Listener, Notifier, WakeUp
from tests.fixtures.polling import eventually
from tests.integration.messaging.relaying import Outlet, outlet


@pytest.fixture
async def shop(database: str, vhost: str) -> AsyncIterator[Outlet]:
    async with outlet(database, vhost, bound=False) as made:
        yield made


async def _listening(shop: Outlet, wake_up: WakeUp) -> None:
    async def there() -> bool:
        return wake_up.signals > 0  # the relay is woken once when it begins to listen

    await eventually(there)
    await wake_up.wait(1)


async def test_many_wake_ups_become_few_notifications_and_wake_the_listener(shop: Outlet) -> None:
    wake_up = WakeUp()
    listener, notifier = Listener(shop.dsn, wake_up), Notifier(shop.dsn)
    await listener.start()
    await notifier.start()
    try:
        await _listening(shop, wake_up)
        before = wake_up.signals
        for _ in range(100):
            notifier.signal()
            await asyncio.sleep(0.002)  # all commits take a fifth of a second
        assert await wake_up.wait(5)
        assert wake_up.signals - before < 50
    finally:
        await listener.stop()
        await notifier.stop()


async def test_listener_and_notifier_come_back_after_their_connections_ended(
    shop: Outlet,
) -> None:
    wake_up = WakeUp()
    listener, notifier = Listener(shop.dsn, wake_up), Notifier(shop.dsn)
    await listener.start()
    await notifier.start()
    try:
        await _listening(shop, wake_up)
        before = wake_up.signals
        await shop.db.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE datname = current_database() AND pid <> pg_backend_pid()"
        )

        async def listens_again() -> bool:
            return wake_up.signals > before

        await eventually(listens_again)
        await wake_up.wait(1)

        async def consumed() -> bool:
            notifier.signal()
            return await wake_up.wait(0.5)

        await eventually(consumed)
    finally:
        await listener.stop()
        await notifier.stop()
