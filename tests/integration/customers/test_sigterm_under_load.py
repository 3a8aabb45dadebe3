"""SIGTERM under load ends the process in order; no event is lost or handled twice."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import aio_pika
import asyncpg
import pytest
from aio_pika.abc import AbstractChannel

from libs.kernel.ids import uuid7
from libs.messaging import topology
from libs.messaging.saga.choreography import read
from libs.runtime.settings import CHOREOGRAPHY
from tests.fixtures.polling import eventually
from tests.integration.customers.conftest import INDEX_KEY, MASTER_KEY
from tests.integration.customers.purchases import confirmed
from tests.integration.customers.test_on_the_wire import envelope

IN = "customers.on.order.confirmed.v1"
OUT = "orders.on.credit.reservation_failed.v1"
MESSAGES = 600


@asynccontextmanager
async def process(
    database: str, vhost: str, folder: Path
) -> AsyncIterator[asyncio.subprocess.Process]:
    environment = {
        "DATABASE_URL": database,
        "RABBITMQ_URL": vhost,
        "ROLE": "all",
        "PORT": "0",
        "DATA_KEYS": MASTER_KEY,
        "INDEX_KEY": INDEX_KEY,
        "ERASURE_LEDGER": str(folder / "erasures.jsonl"),
    }
    with (folder / "log").open("ab") as log:
        started = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "services.customers.main",
            env=os.environ | environment,
            stdout=asyncio.subprocess.DEVNULL,
            stderr=log,
        )
    try:
        yield started
    finally:
        if started.returncode is None:
            started.kill()
            await started.wait()


async def ended(started: asyncio.subprocess.Process, folder: Path) -> None:
    """Send SIGTERM, and check that the process ends in order and without an error."""
    started.send_signal(signal.SIGTERM)
    await asyncio.wait_for(started.wait(), 30)
    log = (folder / "log").read_text()
    assert started.returncode == 0, log
    assert "Traceback" not in log, log


def steps_logged(folder: Path) -> list[str]:
    """Return the ids of the events whose step has its line in the log."""
    lines = [json.loads(line) for line in (folder / "log").read_text().splitlines()]
    return [line["event_id"] for line in lines if line["event"] == "step done"]


async def waiting(channel: AbstractChannel, queue: str) -> int:
    declared = await channel.declare_queue(queue, passive=True)
    return declared.declaration_result.message_count or 0


async def pour(channel: AbstractChannel, bodies: Sequence[bytes]) -> None:
    for body in bodies:
        await channel.default_exchange.publish(aio_pika.Message(body, delivery_mode=2), IN)


@pytest.mark.long
async def test_sigterm_under_load_loses_nothing_and_doubles_nothing(
    customers_database: str, vhost: str, tmp_path: Path
) -> None:
    everyone = read(CHOREOGRAPHY).participants
    await topology.apply(vhost, topology.topology_of(everyone))
    bodies = [envelope(*confirmed(uuid7(), uuid7())) for _ in range(MESSAGES)]
    database = await asyncpg.connect(customers_database.replace("+asyncpg", ""))
    try:
        async with await aio_pika.connect(vhost) as connection, connection.channel() as channel:
            async with process(customers_database, vhost, tmp_path) as first:
                pouring = asyncio.create_task(pour(channel, bodies))

                async def at_work() -> bool:
                    return bool(await database.fetchval("SELECT count(*) >= 50 FROM inbox"))

                await eventually(at_work, 60)
                await ended(first, tmp_path)
            handled: int = await database.fetchval("SELECT count(*) FROM inbox")
            assert 50 <= handled < MESSAGES
            assert await database.fetchval("SELECT count(*) FROM credit_reservations") == handled
            assert await database.fetchval("SELECT count(*) FROM outbox") == 0, "not flushed"
            await pouring

            async def nothing_is_lost() -> bool:
                assert await waiting(channel, OUT) == handled
                # More may be left: a quorum queue settles 32 messages at a time, and when the
                # connection closes it forgets later acknowledgements. Those messages come again.
                left = await waiting(channel, IN)
                assert left >= MESSAGES - handled, f"{left} wait, {handled} were handled"
                return True

            await eventually(nothing_is_lost)
            async with process(customers_database, vhost, tmp_path) as second:

                async def all_answered() -> bool:
                    return await waiting(channel, OUT) >= MESSAGES

                await eventually(all_answered, 30)
                await ended(second, tmp_path)
            assert await waiting(channel, IN) == 0
            answers = await channel.get_queue(OUT)
            causes = []
            while message := await answers.get(no_ack=True, fail=False):
                causes.append(json.loads(message.body)["causationid"])
            assert sorted(causes) == sorted(json.loads(body)["id"] for body in bodies)
            assert sorted(steps_logged(tmp_path)) == sorted(causes)
    finally:
        await database.close()
