"""A trace is made as docs/choreography.md says, through the API of the management UI."""

import re
from urllib.parse import quote, urlsplit

import aio_pika
import httpx
import pytest

from tests.fixtures.own_rabbitmq import own_rabbitmq
from tests.fixtures.polling import eventually


@pytest.mark.long
@pytest.mark.slow
async def test_a_trace_is_written_into_the_nodes_own_folder() -> None:
    with own_rabbitmq() as broker:
        home, place = broker.folder / "rabbitmq", urlsplit(broker.url)
        assert place.username is not None
        assert place.password is not None
        found = re.search(r"management\.tcp\.port = (\d+)", (home / "rabbitmq.conf").read_text())
        assert found is not None
        api = f"http://127.0.0.1:{found[1]}/api"
        credentials = (place.username, place.password)
        async with httpx.AsyncClient(auth=credentials, timeout=20) as client:

            async def answers() -> bool:
                try:
                    return (await client.get(f"{api}/overview")).is_success
                except httpx.TransportError:
                    return False

            await eventually(answers, 30)
            trace = {
                "pattern": "publish.#",
                "format": "text",
                "tracer_connection_username": place.username,
                "tracer_connection_password": place.password,
            }
            path = f"{api}/traces/node/mercado@localhost/{quote('/', safe='')}/all"
            assert (await client.put(path, json=trace)).is_success
        async with await aio_pika.connect(broker.url) as connection:
            channel = await connection.channel()
            queue = await channel.declare_queue("traced", durable=True)
            message = aio_pika.Message(b"what was published")
            await channel.default_exchange.publish(message, queue.name)

        async def written() -> bool:
            log = home / "tracing" / "all.log"
            return log.exists() and "what was published" in log.read_text()

        await eventually(written, 20)
