from collections.abc import AsyncIterator

import pytest

from tests.faults.world import World, running_world
from tests.fixtures.servers import PostgresServer, fresh_database


@pytest.fixture
async def world(database: str, vhost: str, postgres_server: PostgresServer) -> AsyncIterator[World]:
    async with (
        fresh_database(postgres_server) as other,
        running_world(database, other, vhost) as made,
    ):
        yield made
