"""Personal data and secrets of buyers and sellers are in no log, event, dead letter, trace, metric,
table, or answer to those who may not see them.
"""

import asyncio
import json
import os
import secrets
import sys
import uuid
from collections.abc import AsyncIterator
from dataclasses import asdict
from pathlib import Path
from typing import Any

import aio_pika
import asyncpg
import pytest
from validate_docbr import CPF, RENAVAM

from deploy.demo.market import random_chassis_number, random_letters, random_plate
from deploy.services import SERVICES
from libs.messaging import topology
from libs.messaging.saga.choreography import read
from libs.runtime.settings import CHOREOGRAPHY
from tests.fixtures.whole_market import Databases

SPY = "spy"
LETTER = "about a purchase nobody made"


def somebody() -> dict[str, str]:
    """Return a person. No value of this person occurs anywhere else."""
    mark = random_letters(10)
    return {
        "name": f"Zuleica {mark.title()}",
        "email": f"{mark.lower()}@example.com",
        "phone": f"+55119{secrets.randbelow(10**8):08}",
        "document": CPF().generate(),
        "password": f"secret-{secrets.token_hex(8)}",
    }


def vehicle() -> dict[str, str]:
    return {
        "plate": random_plate(),
        "chassis_number": random_chassis_number(),
        "renavam": RENAVAM().generate(),
        "key": str(uuid.uuid4()),
        "other_key": str(uuid.uuid4()),
    }


def traces_of(people: dict[str, Any]) -> dict[str, str]:
    """Return the part of each value that identifies the person, by the kind of the value."""
    found: dict[str, str] = {}
    for who in ("buyer", "seller"):
        own = people[who]
        found |= {
            f"{who}'s name": own["name"].split()[1],
            f"{who}'s e-mail": own["email"],
            f"{who}'s phone": own["phone"][-9:],
            f"{who}'s document": own["document"],
            f"{who}'s password": own["password"],
        }
    for n, own in enumerate(people["vehicles"]):
        found |= {f"{paper} {n}": own[paper] for paper in ("plate", "chassis_number", "renavam")}
    return found


@pytest.fixture
async def wire(vhost: str) -> AsyncIterator[aio_pika.abc.AbstractChannel]:
    """Yield a channel to the broker as installed. A queue of our own consumes every event too."""
    wanted = topology.topology_of(read(CHOREOGRAPHY).participants)
    await topology.apply(vhost, wanted)
    async with await aio_pika.connect(vhost) as connection, connection.channel() as channel:
        spy = await channel.declare_queue(SPY, durable=True)
        for exchange in wanted.exchanges:
            if exchange.kind == "topic":
                await spy.bind(exchange.name, "#")
        yield channel


async def all_of(channel: aio_pika.abc.AbstractChannel, name: str) -> str:
    """Return every message of a queue, with its headers."""
    queue, found = await channel.get_queue(name), []
    while message := await queue.get(no_ack=True, fail=False):
        found.append(f"{message.headers} {message.body.decode()}")
    return "\n".join(found)


async def tables_of(url: str) -> str:
    """Return every row of every table, with bytes decoded as text."""
    connection, found = await asyncpg.connect(url), []
    try:
        names = await connection.fetch(
            "SELECT relname FROM pg_class WHERE relnamespace = 'public'::regnamespace"
            " AND relkind = 'r'"
        )
        for (name,) in names:
            for row in await connection.fetch(f"SELECT * FROM {name}"):
                cells = [
                    cell.decode("latin-1") if isinstance(cell, bytes) else str(cell)
                    for cell in row.values()
                ]
                found.append(f"{name}: {cells}")
    finally:
        await connection.close()
    return "\n".join(found)


async def dead_letter(channel: aio_pika.abc.AbstractChannel) -> None:
    """Publish an event that orders cannot take. It becomes a dead letter, with the error's text."""
    event = {
        "specversion": "1.0",
        "id": str(uuid.uuid4()),
        "source": "payments",
        "type": "payment.processed.v1",
        "subject": str(uuid.uuid4()),
        "time": "2026-11-22T12:00:00Z",
        "tenantid": "default",
        "sequence": 1,
        "data": {"order_id": LETTER},
    }
    message = aio_pika.Message(json.dumps(event).encode())
    await channel.default_exchange.publish(message, "orders.on.payment.processed.v1")


@pytest.mark.long
@pytest.mark.slow
@pytest.mark.timeout(300)
async def test_no_personal_data_or_secret_leaks(
    databases: Databases,
    vhost: str,
    wire: aio_pika.abc.AbstractChannel,
    tmp_path: Path,
) -> None:
    people = {
        "buyer": somebody(),
        "seller": somebody(),
        "vehicles": [vehicle() for _ in range(5)],
    }
    await dead_letter(wire)
    place = {
        "databases": asdict(databases),
        "vhost": vhost,
        "folder": str(tmp_path),
        "people": people,
    }
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.security.canary_run", json.dumps(place)),
        env={**os.environ, "OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:9"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, logs = (each.decode() for each in await process.communicate())
    assert process.returncode == 0, logs[-5000:]
    left = json.loads(out)

    places = {
        "logs": logs,
        "answers and metrics": "\n".join(left["told"]),
        "traces": "\n".join(left["spans"]),
        "events": await all_of(wire, SPY),
    }
    for spec in SERVICES:
        places[f"dead letters of {spec.name}"] = await all_of(wire, f"{spec.name}.dead-letters")
        places[f"tables of {spec.name}"] = await tables_of(databases.superuser(spec.name))
    assert LETTER in places["dead letters of orders"]
    for name in ("logs", "traces", "events", "tables of portal"):
        assert len(places[name]) > 1000, name

    wanted = traces_of(people) | {f"token {n}": each for n, each in enumerate(left["secrets"])}
    found = [
        f"{what} in {place}: …{content[max(at - 150, 0) : at + 60]}…"
        for place, content in places.items()
        for what, trace in wanted.items()
        if (at := content.lower().find(trace.lower())) >= 0
    ]
    assert not found, "\n".join(found[:20])
