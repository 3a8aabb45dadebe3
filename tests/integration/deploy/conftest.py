"""Consistent databases of all services are made once. Tests spoil copies of them."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager

import pytest

from tests.fixtures.loops import opened
from tests.fixtures.servers import PostgresServer
from tests.integration.deploy.many_purchases import MANY, fill_with_many
from tests.integration.deploy.spoilt import PARTICIPANTS, Spoilt, empty_databases, filled_databases

pytest.register_assert_rewrite("tests.integration.deploy.rules")


@pytest.fixture(scope="session")
def filled(postgres_server: PostgresServer) -> Iterator[Mapping[str, str]]:
    with opened(filled_databases(postgres_server)) as databases:
        yield databases


@pytest.fixture(scope="session")
def many(postgres_server: PostgresServer) -> Iterator[Mapping[str, str]]:
    """Yield the databases of many purchases, whose ids contain a time as real ones do."""
    with opened(databases_of_many(postgres_server)) as databases:
        yield databases


@asynccontextmanager
async def databases_of_many(server: PostgresServer) -> AsyncIterator[Mapping[str, str]]:
    async with empty_databases(server) as databases:
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
