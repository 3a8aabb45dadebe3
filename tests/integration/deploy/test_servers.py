import asyncio
from urllib.parse import urlsplit

import asyncpg
import psutil
import pytest
from aio_pika import connect
from aiormq.exceptions import AMQPConnectionError

from deploy.servers.processes import recorded
from tests.fixtures.own_rabbitmq import own_rabbitmq
from tests.fixtures.polling import eventually
from tests.fixtures.servers import RabbitMQServer


async def test_database_of_a_test_is_empty(database: str) -> None:
    connection = await asyncpg.connect(database.replace("+asyncpg", ""))
    try:
        tables = await connection.fetch("SELECT 1 FROM pg_tables WHERE schemaname = 'public'")
    finally:
        await connection.close()

    assert tables == []


async def test_queue_can_be_declared_in_the_vhost_of_a_test(vhost: str) -> None:
    async with await connect(vhost) as connection:
        channel = await connection.channel()
        queue = await channel.declare_queue("q", durable=True)

        assert queue.declaration_result.message_count == 0


async def test_guest_is_refused_by_a_private_broker(rabbitmq_server: RabbitMQServer) -> None:
    place = urlsplit(rabbitmq_server.url)
    if place.username == "guest":
        pytest.skip("the broker of this run is not ours")

    with pytest.raises(AMQPConnectionError):
        await connect(f"amqp://guest:guest@{place.hostname}:{place.port}/")


@pytest.mark.long
def test_private_servers_listen_on_the_loopback_only() -> None:
    with own_rabbitmq() as rabbitmq:
        listening = [
            each.laddr
            for record in recorded(rabbitmq.folder)
            for each in psutil.Process(record.pid).net_connections("tcp")
            if each.status == psutil.CONN_LISTEN
        ]
        ports = {address.port for address in listening}
        outside = {str(address.ip) for address in listening} - {"127.0.0.1", "::1"}

    assert len(ports) == 5  # for AMQP, management, metrics, name server and distribution
    assert outside == set()


async def test_eventually_answers_as_soon_as_the_check_holds() -> None:
    ready = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, ready.set)

    async def check() -> str:
        assert ready.is_set()
        return "done"

    assert await eventually(check) == "done"


async def test_eventually_shows_the_last_failure_when_time_is_over() -> None:
    async def check() -> bool:
        raise AssertionError("not yet")

    with pytest.raises(AssertionError, match="not yet"):
        await eventually(check, timeout=0.05)
