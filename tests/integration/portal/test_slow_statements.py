"""The operations page shows slow statements, or says why there are none."""

import uuid
from collections.abc import AsyncIterator
from urllib.parse import urlsplit, urlunsplit

import asyncpg
import pytest
from sqlalchemy import text
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from deploy.postgres.provision import DatabaseAccounts, provision
from services.portal.infrastructure.store.slow_statements import SlowStatement, SlowStatements
from tests.fixtures.servers import PostgresServer
from tests.fixtures.services import ServiceClient
from tests.integration.portal.conftest import Enter


@pytest.fixture
async def provisioned(postgres_server: PostgresServer) -> AsyncIterator[AsyncEngine]:
    """Yield an engine of the application, on a database as an installation makes it."""
    name = f"portal_test_{uuid.uuid4().hex[:8]}"
    account = DatabaseAccounts(name, "secret", "secret", shows_statements=True)
    place = urlsplit(postgres_server.url)
    netloc = f"{name}_app:secret@{place.hostname}:{place.port}"
    engine = create_async_engine(
        urlunsplit(place._replace(scheme="postgresql+asyncpg", netloc=netloc, path=f"/{name}"))
    )
    await provision(postgres_server.url, [account])
    try:
        yield engine
    finally:
        await engine.dispose()
        admin = await asyncpg.connect(postgres_server.url)
        await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        for role in ("app", "migrator", "owner"):
            await admin.execute(f"DROP ROLE {name}_{role}")
        await admin.close()


async def test_the_slowest_statements_of_the_services_are_listed_without_values(
    provisioned: AsyncEngine,
) -> None:
    async with provisioned.connect() as connection:
        await connection.execute(text("SELECT pg_sleep(0.2), 'maria@example.com' AS slow"))
        await connection.execute(text("SELECT 1 AS quick"))
    found = await SlowStatements(provisioned).listed()
    assert found is not None
    own = [each for each in found if each.database == provisioned.url.database]
    assert own[0].statement == "SELECT pg_sleep($1), $2 AS slow"
    assert (own[0].calls, own[0].rows) == (1, 1)
    assert own[0].mean_ms >= 200


async def test_the_page_says_where_statements_are_not_measured(
    portal: ServiceClient, enter: Enter
) -> None:
    await enter("operator")
    assert "The database does not measure statements here" in (await portal.get("/operations")).text


async def test_the_page_shows_the_slowest_statements(
    portal: ServiceClient, enter: Enter, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def listed(_: SlowStatements) -> list[SlowStatement]:
        return [SlowStatement("orders", "SELECT a < $1", 1200, 66.0, 7)]

    monkeypatch.setattr(SlowStatements, "listed", listed)
    await enter("operator")
    page = (await portal.get("/operations")).text
    assert "<code>SELECT a &lt; $1</code>" in page
    assert "55.0 ms" in page
    assert "1,200" in page
