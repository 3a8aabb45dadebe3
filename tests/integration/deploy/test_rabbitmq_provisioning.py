import uuid
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from urllib.parse import urlsplit, urlunsplit

import aiormq
import httpx
import pytest
from aiormq.abc import AbstractChannel
from aiormq.exceptions import ChannelAccessRefused

from deploy.rabbitmq.provision import BrokerAccount, OperatorAccount, provision
from libs.messaging.names import look_lock
from libs.messaging.relay.bindings import BindingWatch
from tests.fixtures.servers import RabbitMQServer


@dataclass(frozen=True)
class Market:
    """`own` publishes orders and consumes credit events of `peer`; both are provisioned."""

    own: str
    peer: str
    url: str
    operator_url: str

    @property
    def queue(self) -> str:
        return f"{self.own}.on.credit.reserved.v1"


@pytest.fixture
async def market(rabbitmq_server: RabbitMQServer, vhost: str) -> AsyncIterator[Market]:
    mark = f"test_{uuid.uuid4().hex[:8]}"
    place = urlsplit(vhost)
    own, peer = f"own-{mark}", f"peer-{mark}"
    accounts = [
        BrokerAccount(own, "secret", ["order.confirmed.v1"]),
        BrokerAccount(peer, "secret", ["credit.reserved.v1"]),
    ]
    operator = f"operator-{mark}"
    own_url, operator_url = (
        urlunsplit(place._replace(netloc=f"{user}:secret@{place.hostname}:{place.port}"))
        for user in (own, operator)
    )
    market = Market(own, peer, own_url, operator_url)
    try:
        for _ in range(2):
            await provision(
                rabbitmq_server.management_url,
                place.path[1:],
                accounts,
                OperatorAccount(operator, "secret"),
            )
        await declare(vhost, market)
        yield market
    finally:
        async with httpx.AsyncClient(base_url=rabbitmq_server.management_url) as client:
            for name in (own, peer, operator):
                (await client.delete(f"/api/users/{name}")).raise_for_status()


async def declare(vhost: str, market: Market) -> None:
    connection = await aiormq.connect(vhost)
    channel = await connection.channel()
    for name in (market.own, market.peer):
        await channel.exchange_declare(name, exchange_type="topic", durable=True)
        for suffix in (".dlx", ".redrive"):
            await channel.exchange_declare(name + suffix, durable=True)
        await channel.queue_declare(f"{name}.dead-letters", durable=True)
    await channel.queue_declare(market.queue, durable=True)
    await connection.close()


@pytest.fixture
async def channel(market: Market) -> AsyncIterator[AbstractChannel]:
    connection = await aiormq.connect(market.url)
    yield await connection.channel()
    await connection.close()


async def test_service_publishes_its_events_and_consumes_its_queues(
    market: Market, channel: AbstractChannel
) -> None:
    await channel.basic_publish(b"", exchange=market.own, routing_key="order.confirmed.v1")
    for suffix in (".dlx", ".redrive"):
        await channel.basic_publish(b"", exchange=market.own + suffix, routing_key=market.queue)
    for queue in (market.queue, f"{market.own}.dead-letters"):
        await channel.basic_get(queue)


async def test_service_may_look_whether_exchange_and_queues_are_there(
    market: Market, channel: AbstractChannel
) -> None:
    await channel.exchange_declare(market.own, passive=True)
    await channel.queue_declare(market.queue, passive=True)


async def test_service_may_look_whether_its_events_are_bound(
    market: Market, rabbitmq_server: RabbitMQServer
) -> None:
    place = urlsplit(rabbitmq_server.management_url)
    netloc = f"{market.own}:secret@{place.hostname}:{place.port}"
    watch = BindingWatch(
        market.own,
        management_url=urlunsplit(place._replace(netloc=netloc)),
        rabbitmq_url=market.url,
        expected_queues={"order.confirmed.v1": ["peer.on.order.confirmed.v1"]},
    )
    await watch.look()
    assert len(watch.missing) == 1


REFUSED: dict[str, Callable[[AbstractChannel, Market], Awaitable[object]]] = {
    "declare a queue": lambda channel, market: channel.queue_declare(f"{market.own}.on.more"),
    "delete its queue": lambda channel, market: channel.queue_delete(market.queue),
    "declare an exchange": lambda channel, market: channel.exchange_declare(f"{market.own}.more"),
    "bind its queue": lambda channel, market: channel.queue_bind(
        market.queue, market.peer, "credit.reserved.v1"
    ),
    "publish as a peer": lambda channel, market: channel.basic_publish(
        b"", exchange=market.peer, routing_key="credit.reserved.v1"
    ),
    "publish an event of a peer": lambda channel, market: channel.basic_publish(
        b"", exchange=market.own, routing_key="credit.reserved.v1"
    ),
    "publish to a queue": lambda channel, market: channel.basic_publish(
        b"", routing_key=market.queue
    ),
    "read the queue of a peer": lambda channel, market: channel.basic_get(
        f"{market.peer}.dead-letters"
    ),
}


@pytest.mark.parametrize("action", REFUSED)
async def test_service_is_refused_what_is_not_its_own(
    market: Market, channel: AbstractChannel, action: str
) -> None:
    with pytest.raises(ChannelAccessRefused):
        await REFUSED[action](channel, market)


@pytest.fixture
async def operator(market: Market) -> AsyncIterator[AbstractChannel]:
    connection = await aiormq.connect(market.operator_url)
    yield await connection.channel()
    await connection.close()


async def test_operator_reads_dead_letters_and_sends_them_back(
    market: Market, operator: AbstractChannel
) -> None:
    await operator.queue_declare(f"{market.peer}.dead-letters", passive=True)
    await operator.basic_get(f"{market.peer}.dead-letters")
    await operator.basic_publish(b"", exchange=f"{market.own}.redrive", routing_key=market.queue)


async def test_operator_takes_the_lock_of_those_who_look(
    market: Market, operator: AbstractChannel
) -> None:
    await operator.queue_declare(look_lock(market.peer), exclusive=True)


REFUSED_TO_OPERATOR: dict[str, Callable[[AbstractChannel, Market], Awaitable[object]]] = {
    "read a queue": lambda channel, market: channel.basic_get(market.queue),
    "publish an event": lambda channel, market: channel.basic_publish(
        b"", exchange=market.own, routing_key="order.confirmed.v1"
    ),
    "make a dead letter": lambda channel, market: channel.basic_publish(
        b"", exchange=f"{market.own}.dlx", routing_key=market.queue
    ),
    "declare a queue": lambda channel, market: channel.queue_declare(
        f"{look_lock(market.peer)}.more"
    ),
    "delete a queue": lambda channel, market: channel.queue_delete(f"{market.own}.dead-letters"),
}


@pytest.mark.parametrize("action", REFUSED_TO_OPERATOR)
async def test_operator_is_refused_all_else(
    market: Market, operator: AbstractChannel, action: str
) -> None:
    with pytest.raises(ChannelAccessRefused):
        await REFUSED_TO_OPERATOR[action](operator, market)
