"""Every test here runs on the test run's own Postgres, and among the long ones on Postgres 15."""

from collections.abc import AsyncIterator, Iterator

import pytest

from tests.faults.world import World, running_world
from tests.fixtures.postgres_15 import running_postgres_15
from tests.fixtures.servers import PostgresServer, Servers


@pytest.fixture(scope="session")
def postgres_15() -> Iterator[PostgresServer]:
    """Yield a Postgres 15 that stays for all tests, because tests with and without it alternate."""
    with running_postgres_15() as server:
        yield server


@pytest.fixture(params=["own", pytest.param("15", marks=pytest.mark.long)])
def postgres_server(request: pytest.FixtureRequest, servers: Servers) -> PostgresServer:
    if request.param == "own":
        return servers.postgres
    server: PostgresServer = request.getfixturevalue("postgres_15")
    return server


@pytest.fixture
async def world(postgres_server: PostgresServer, vhost: str) -> AsyncIterator[World]:
    async with running_world(postgres_server, vhost) as made:
        yield made
