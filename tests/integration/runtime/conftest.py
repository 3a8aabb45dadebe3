from collections.abc import AsyncIterator
from uuid import uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio

from tests.fixtures.servers import PostgresServer
from tests.fixtures.services import ServiceClient, serving
from tests.integration.runtime.notes import NotesSettings, build, create_tables


@pytest.fixture
async def notes_database(database: str) -> str:
    """A database with the tables of the notes service."""
    await create_tables(database)
    return database


@pytest.fixture
async def notes(notes_database: str) -> AsyncIterator[ServiceClient]:
    """The notes service as an API without a broker."""
    settings = NotesSettings(database_url=notes_database, role="api")
    async with serving(build(settings)) as client:
        yield client


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_notes(postgres_server: PostgresServer) -> AsyncIterator[ServiceClient]:
    """One notes service for all tests of a module that change nothing."""
    name = f"test_{uuid4().hex}"
    connection = await asyncpg.connect(postgres_server.url)
    try:
        await connection.execute(f"CREATE DATABASE {name}")
        place = httpx.URL(postgres_server.url).copy_with(path=f"/{name}")
        url = str(place.copy_with(scheme="postgresql+asyncpg"))
        await create_tables(url)
        async with serving(build(NotesSettings(database_url=url, role="api"))) as client:
            yield client
    finally:
        await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        await connection.close()
