"""With a broker of several hosts, subscriber and relay go on with another host when one is lost."""

from collections.abc import AsyncIterator

import pytest
from aio_pika.abc import AbstractChannel
from sqlalchemy.ext.asyncio import AsyncEngine
from yarl import URL

from tests.fixtures.polling import eventually
from tests.fixtures.proxy import Proxy, proxy
from tests.integration.messaging import sample
from tests.integration.messaging.effects import Subscribe, until_reserved
from tests.integration.messaging.relaying import outlet
from tests.integration.messaging.wire import send


@pytest.fixture
async def nodes(vhost: str) -> AsyncIterator[list[Proxy]]:
    """Yield two ways to one broker."""
    async with proxy(vhost) as (one, _), proxy(vhost) as (other, _):
        yield [one, other]


def through(url: str, nodes: list[Proxy]) -> str:
    place, hosts = URL(url), ",".join(f"127.0.0.1:{each.port}" for each in nodes)
    return url.replace(f"@{place.host}:{place.port}/", f"@{hosts}/")


async def lose(nodes: list[Proxy]) -> None:
    """Stop the proxy in use, as if its broker were lost for good."""
    connected = [each for each in nodes if each.connections]
    assert len(connected) == 1
    await connected[0].stop()


@pytest.mark.slow
async def test_a_subscriber_that_loses_one_host_goes_on_with_another(
    engine: AsyncEngine,
    broker: str,
    channel: AbstractChannel,
    subscribe: Subscribe,
    nodes: list[Proxy],
) -> None:
    await subscribe(url=through(broker, nodes))
    await lose(nodes)
    await send(channel, sample.on_the_wire(sample.order_placed()))
    await until_reserved(engine, 1)


@pytest.mark.slow
async def test_a_relay_that_loses_one_host_goes_on_with_another(
    database: str, vhost: str, nodes: list[Proxy]
) -> None:
    async with outlet(database, vhost) as shop, shop.relay(broker=through(vhost, nodes)) as relay:

        async def ready() -> bool:
            return relay.ready

        await eventually(ready)
        await lose(nodes)
        await shop.write("after")
        await shop.drained()
        assert [body for _, body in await shop.received()] == ["after 1"]
