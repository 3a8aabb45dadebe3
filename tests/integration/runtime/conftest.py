"""The notes service uses a database for one test alone, or one that tests share."""

from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.fixtures.databases import emptied, shared_database
from tests.fixtures.servers import PostgresServer
from tests.fixtures.services import ServiceClient, serving
from tests.integration.runtime.notes import NotesSettings, build, create_tables


@pytest.fixture(scope="session")
def installed_database(postgres_server: PostgresServer) -> Iterator[str]:
    """Yield a database with the tables of the notes service. All tests of a worker share it."""
    with shared_database("notes", postgres_server, create_tables) as url:
        yield url


@pytest.fixture
async def emptied_database(installed_database: str) -> str:
    """Return the shared database, empty, for tests that leave no request at work."""
    await emptied(
        installed_database, "notes", "idempotency_keys", "outbox", "outbox_archive", "inbox"
    )
    return installed_database


@pytest.fixture
async def notes_database(database: str) -> str:
    """Return a database with the tables of the notes service, for this test alone."""
    await create_tables(database)
    return database


@pytest.fixture
async def notes(notes_database: str) -> AsyncIterator[ServiceClient]:
    """Yield the notes service as an API without a broker."""
    settings = NotesSettings(database_url=notes_database, role="api")
    async with serving(build(settings)) as client:
        yield client


@pytest.fixture(scope="session")
def unchanged_database(postgres_server: PostgresServer) -> Iterator[str]:
    """Yield another database, in which there never is a note."""
    with shared_database("notes", postgres_server, create_tables) as url:
        yield url


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def shared_notes(unchanged_database: str) -> AsyncIterator[ServiceClient]:
    """Yield one notes service for all tests of a module that change nothing."""
    async with serving(build(NotesSettings(database_url=unchanged_database, role="api"))) as client:
        yield client
