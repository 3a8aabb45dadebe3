"""What runs beside the web application in each role."""

from typing import Literal

import aio_pika
import asyncpg
import pytest

from tests.fixtures.polling import eventually
from tests.fixtures.services import serving
from tests.integration.runtime.notes import NotesSettings, build

Role = Literal["all", "api", "worker", "relay"]


@pytest.fixture
async def broker(vhost: str) -> str:
    async with await aio_pika.connect(vhost) as connection:
        await (await connection.channel()).declare_exchange("notes", "topic", durable=True)
    return vhost


async def _queries(database_url: str) -> list[str]:
    """The last statement of each connection to the database, but for this one."""
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    rows = await connection.fetch(
        "SELECT query FROM pg_stat_activity"
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
            return any(query.startswith("LISTEN") for query in await _queries(notes_database))

        await eventually(listens)
