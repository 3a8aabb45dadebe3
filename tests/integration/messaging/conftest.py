"""The sample choreography has its own database, and its own vhost with its topology."""

from collections.abc import AsyncIterator, Awaitable, Callable

import aio_pika
import pytest
from aio_pika.abc import AbstractChannel
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from libs.messaging import topology
from libs.messaging.broker_url import BrokerUrl
from libs.messaging.inbox.subscriber import Subscriber
from libs.messaging.outbox.unit_of_work import Transactions
from libs.messaging.schema.inbox_window import InboxWindow
from tests.fixtures.polling import eventually
from tests.integration.messaging import sample


@pytest.fixture
async def engine(database: str) -> AsyncIterator[AsyncEngine]:
    """Yield an engine on a database that holds the library's tables and the sample's."""
    engine = create_async_engine(database)
    await sample.create_tables(engine)
    yield engine
    await engine.dispose()


@pytest.fixture
async def broker(vhost: str) -> str:
    """Return the URL of a vhost that holds the sample's topology."""
    participants = [sample.shop(), sample.credit()]
    await topology.apply(vhost, topology.topology_of(participants))
    return vhost


@pytest.fixture
async def channel(broker: str) -> AsyncIterator[AbstractChannel]:
    """Yield a channel on which an unroutable mandatory message raises."""
    connection = await aio_pika.connect(broker)
    async with connection:
        yield await connection.channel(on_return_raises=True)


@pytest.fixture
async def subscribe(
    engine: AsyncEngine, broker: str
) -> AsyncIterator[Callable[..., Awaitable[Subscriber[sample.CreditUnitOfWork]]]]:
    """Yield a function that starts subscribers of the credit service. All stop with the test."""
    started: list[Subscriber[sample.CreditUnitOfWork]] = []

    async def start(
        reaction: sample.Reaction = sample.reserve_credit,
        transactions: Transactions[sample.CreditUnitOfWork] | None = None,
        url: BrokerUrl = broker,
        batch_delay: float = 0.0,
    ) -> Subscriber[sample.CreditUnitOfWork]:
        subscriber = Subscriber(
            sample.credit(reaction, batch_delay=batch_delay),
            transactions or sample.transactions(engine),
            sample.TABLES,
            url,
            window=InboxWindow(),
        )
        started.append(subscriber)
        await subscriber.start()
        await eventually(subscriber.ready)
        return subscriber

    yield start
    for subscriber in started:
        await subscriber.stop()
