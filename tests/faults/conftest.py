from collections.abc import AsyncIterator

import pytest

from tests.faults.world import World, running_world
from tests.fixtures.servers import PostgresServer


@pytest.fixture
async def world(postgres_server: PostgresServer, vhost: str) -> AsyncIterator[World]:
    async with running_world(postgres_server, vhost) as made:
        yield made
