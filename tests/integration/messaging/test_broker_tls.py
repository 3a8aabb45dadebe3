"""RabbitMQ uses TLS with an authority of our own, and everything that connects checks it."""

from collections.abc import Iterator
from pathlib import Path

import aio_pika
import pytest
from prometheus_client import REGISTRY
from sqlalchemy.ext.asyncio import AsyncEngine

from deploy.certificates import Authority, ends
from deploy.servers.rabbitmq import CERTIFICATE, renew_certificate
from libs.messaging import topology
from libs.messaging.__main__ import main
from libs.messaging.inbox.subscriber import Subscriber
from libs.messaging.relay.bindings import BindingWatch
from libs.messaging.relay.relay import Relay
from libs.messaging.schema.inbox_window import InboxWindow
from libs.runtime.broker_check import check_broker
from libs.runtime.certificates import servers_with_tls
from libs.runtime.start_failure import StartFailure
from tests.fixtures.own_rabbitmq import OwnRabbitMQ, own_rabbitmq
from tests.fixtures.polling import eventually
from tests.integration.messaging import sample
from tests.integration.messaging.effects import outbox_bodies, until_reserved
from tests.integration.messaging.relaying import QUICK
from tests.integration.messaging.wire import send
from tests.integration.runtime.notes import NotesSettings

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    made = Authority(tmp_path_factory.mktemp("authority"))
    made.make()
    return made


@pytest.fixture(scope="module")
def rabbitmq(authority: Authority) -> Iterator[OwnRabbitMQ]:
    with own_rabbitmq(authority) as server:
        yield server


@pytest.fixture
async def prepared(rabbitmq: OwnRabbitMQ) -> OwnRabbitMQ:
    await topology.apply(rabbitmq.url, topology.topology_of([sample.shop(), sample.credit()]))
    return rabbitmq


def settings(url: str) -> NotesSettings:
    return NotesSettings(
        _env_file=None, database_url="postgresql://me@127.0.0.1/x", rabbitmq_url=url
    )


async def test_events_are_consumed_and_published_over_it(
    prepared: OwnRabbitMQ, engine: AsyncEngine, database: str
) -> None:
    subscriber = Subscriber(
        sample.credit(),
        sample.transactions(engine),
        sample.TABLES,
        prepared.url,
        window=InboxWindow(),
    )
    relay = Relay(
        "credit",
        database_dsn=database.replace("+asyncpg", ""),
        rabbitmq_url=prepared.url,
        window=InboxWindow(),
        unconsumed=[sample.CreditReserved.type],
        settings=QUICK,
    )
    await subscriber.start()
    await relay.start()
    try:
        await eventually(subscriber.ready)
        async with await aio_pika.connect(prepared.url) as connection:
            await send(
                await connection.channel(), sample.on_the_wire(sample.order_placed(total_cents=7))
            )
        assert await until_reserved(engine, 1) == [7]

        async def published() -> bool:
            return await outbox_bodies(engine) == [] and relay.ready

        await eventually(published)
    finally:
        await subscriber.stop()
        await relay.stop()


async def test_its_management_is_read_over_it(prepared: OwnRabbitMQ) -> None:
    wanted = topology.topology_of([sample.shop(), sample.credit()])
    assert await topology.check(prepared.management_url, "/", wanted) == []
    watch = BindingWatch(
        "shop",
        management_url=prepared.management_url,
        rabbitmq_url=prepared.url,
        expected_queues={"order.placed.v1": ["nobody.on.order.placed.v1"]},
    )
    await watch.look()
    assert watch.missing == [
        "queue nobody.on.order.placed.v1 is not bound to shop by order.placed.v1"
    ]


@pytest.mark.long
async def test_a_start_takes_a_broker_whose_authority_is_named(rabbitmq: OwnRabbitMQ) -> None:
    await check_broker(settings(rabbitmq.url))


async def test_a_broker_that_is_not_to_be_trusted_is_refused_in_one_line(
    rabbitmq: OwnRabbitMQ, tmp_path: Path
) -> None:
    stranger = Authority(tmp_path)
    stranger.make()
    bare = rabbitmq.url.partition("?")[0]
    for url, words in (
        (bare, "is not accepted: "),
        (f"{bare}?cafile={stranger.certificate}", "is not accepted: "),
        (rabbitmq.url.replace("127.0.0.1", "127.0.0.2"), "no broker answers at 127.0.0.2"),
        (f"{bare}?cafile=/nowhere.pem", "cafile names /nowhere.pem: No such file or directory"),
        (f"{bare}?cafile={__file__}", "no TLS with the broker at 127.0.0.1"),
        (bare.replace("amqps", "amqp"), "or wants amqps://"),
    ):
        with pytest.raises(StartFailure) as failure:
            await check_broker(settings(url))
        assert words in str(failure.value)
        assert "\n" not in str(failure.value)


def test_the_command_line_names_the_setting_that_is_wrong(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("RABBITMQ_URL", "amqps://me:secret@mq/x?no_verify_ssl=1")
    with pytest.raises(SystemExit, match=r"^error: RABBITMQ_URL: no_verify_ssl would trust any"):
        main(["topology", "apply"])


@pytest.mark.long
async def test_a_certificate_is_renewed_while_connections_go_on(
    rabbitmq: OwnRabbitMQ, authority: Authority
) -> None:
    async with await aio_pika.connect(rabbitmq.url) as before:
        serial = rabbitmq.serial()
        renew_certificate(rabbitmq.folder, authority)
        assert rabbitmq.serial() != serial
        async with await aio_pika.connect(rabbitmq.url) as after:
            await after.channel()
        await before.channel()
        (server,) = servers_with_tls(settings(rabbitmq.url))
        await server.look()
    name = {"server": str(server)}
    seen = REGISTRY.get_sample_value("certificate_expiry_timestamp_seconds", name)
    assert seen == ends(rabbitmq.folder / "rabbitmq" / CERTIFICATE).timestamp()
