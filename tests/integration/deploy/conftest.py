"""Consistent databases of all services, made once, and copies of them to spoil."""

from collections.abc import AsyncIterator, Mapping

import pytest
import pytest_asyncio

from tests.fixtures.servers import PostgresServer
from tests.integration.deploy.many_purchases import MANY, fill_with_many
from tests.integration.deploy.spoilt import PARTICIPANTS, Spoilt, empty_databases, filled_databases

pytest.register_assert_rewrite("tests.integration.deploy.rules")


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def filled(postgres_server: PostgresServer) -> AsyncIterator[Mapping[str, str]]:
    async with filled_databases(postgres_server) as databases:
        yield databases


@pytest_asyncio.fixture(scope="session", loop_scope="session")
async def many(postgres_server: PostgresServer) -> AsyncIterator[Mapping[str, str]]:
    """Of many purchases, with ids that tell the time, as real ones do."""
    async with empty_databases(postgres_server) as databases:
        await fill_with_many(databases, PARTICIPANTS, MANY)
        yield databases


@pytest.fixture
async def spoilt(
    postgres_server: PostgresServer, filled: Mapping[str, str]
) -> AsyncIterator[Spoilt]:
    copies = Spoilt(postgres_server, filled)
    try:
        yield copies
    finally:
        await copies.close()
