from collections.abc import AsyncIterator

import pytest

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
