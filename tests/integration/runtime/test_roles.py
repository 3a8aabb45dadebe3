"""Each role runs its own parts beside the web application."""

from dataclasses import replace
from typing import Literal

import aio_pika
import asyncpg
import pytest

from libs.messaging.saga.choreography import choreography_of
from tests.fixtures.polling import eventually
from tests.fixtures.services import serving
from tests.integration.runtime.notes import NotesSettings, build

Role = Literal["all", "api", "worker", "relay"]


@pytest.fixture
async def broker(vhost: str) -> str:
    async with await aio_pika.connect(vhost) as connection:
        await (await connection.channel()).declare_exchange("notes", "topic", durable=True)
    return vhost


_OF_A_RELAY = {"notes relay", "outbox wake-up"}


async def _connections(database_url: str, column: str) -> list[str]:
    """Return a column of pg_stat_activity for each other connection to the database."""
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    rows = await connection.fetch(
        f"SELECT {column} FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()"
    )
    await connection.close()
    return [row[0] for row in rows]


@pytest.mark.parametrize("role", ["all", "relay"])
async def test_a_relay_listens_for_processes_that_only_write(
    role: Role, notes_database: str, broker: str
) -> None:
    settings = NotesSettings(
        _env_file=None, database_url=notes_database, rabbitmq_url=broker, role=role
    )
    async with serving(build(settings)):

        async def listens() -> bool:
            return any(
                query.startswith("LISTEN") for query in await _connections(notes_database, "query")
            )

        await eventually(listens)


async def test_a_service_that_publishes_nothing_runs_no_relay_and_keeps_its_partitions(
    notes_database: str, broker: str
) -> None:
    settings = NotesSettings(
        _env_file=None, database_url=notes_database, rabbitmq_url=broker, role="all"
    )
    notes = build(settings)
    nothing = replace(notes.participant, publishes=(), unconsumed=frozenset())
    service = replace(notes, participant=nothing, choreography=choreography_of([nothing]))
    async with serving(service) as client:

        async def ready() -> bool:
            return (await client.get("/ready")).status_code == 200

        await eventually(ready)
        checks = (await client.get("/ready")).json()["checks"]
        assert "relay" not in checks
        assert checks["partitions"] == "ok"
        assert not _OF_A_RELAY & set(await _connections(notes_database, "application_name"))
