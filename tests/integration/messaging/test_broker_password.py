"""A subscriber and a publisher reconnect with the new password after a password of
the broker changed.
"""

import secrets
from urllib.parse import urlsplit, urlunsplit

import httpx
import pytest

from tests.fixtures.polling import eventually
from tests.fixtures.servers import RabbitMQServer
from tests.integration.messaging.effects import Subscribe


@pytest.mark.slow
async def test_a_subscriber_comes_back_with_the_password_of_the_moment(
    broker: str, rabbitmq_server: RabbitMQServer, subscribe: Subscribe
) -> None:
    place = urlsplit(broker)
    name, vhost = f"test_{secrets.token_hex(6)}", place.path.removeprefix("/")
    password = secrets.token_hex(8)

    def url() -> str:
        at = place.netloc.rpartition("@")[2]
        return urlunsplit(place._replace(netloc=f"{name}:{password}@{at}"))

    async with httpx.AsyncClient(base_url=rabbitmq_server.management_url, timeout=30) as client:

        async def set_password() -> None:
            user = {"password": password, "tags": ""}
            (await client.put(f"/api/users/{name}", json=user)).raise_for_status()

        await set_password()
        everything = {"configure": ".*", "write": ".*", "read": ".*"}
        answer = await client.put(f"/api/permissions/{vhost}/{name}", json=everything)
        answer.raise_for_status()
        try:
            subscriber = await subscribe(url=url)
            password = secrets.token_hex(8)
            await set_password()
            assert await subscriber.ready(), "its connection is not touched"

            async def is_cut_off() -> bool:
                ended = await client.delete(f"/api/connections/username/{name}")
                ended.raise_for_status()
                return not await subscriber.ready()

            await eventually(is_cut_off)
            await eventually(subscriber.ready)
            await subscriber.stop()
        finally:
            await client.delete(f"/api/users/{name}")
