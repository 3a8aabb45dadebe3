"""The pages say what does not work while the database is away or a session has ended."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

from services.portal.infrastructure.settings import PortalSettings
from services.portal.main import build
from tests.fixtures.servers import PostgresServer
from tests.fixtures.services import ServiceClient, running
from tests.integration.portal.conftest import (
    INDEX_KEY,
    MASTER_KEY,
    Enter,
    execute,
)


@asynccontextmanager
async def database_away(server: PostgresServer, database: str) -> AsyncIterator[None]:
    name = urlsplit(database).path[1:]
    await execute(server.url, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
    try:
        await execute(
            server.url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1",
            name,
        )
        yield
    finally:
        await execute(server.url, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")


async def test_a_person_is_answered_with_a_page_while_the_database_is_away(
    database: str, postgres_server: PostgresServer
) -> None:
    keys = {"data_keys": MASTER_KEY, "index_key": INDEX_KEY}
    async with running(build, PortalSettings, database, **keys) as portal:
        portal.cookies.set("session", "of somebody")
        async with database_away(postgres_server, database):
            for place in ("/account", "/operations", "/imports", "/"):
                answer = await portal.get(place, headers={"Accept-Language": "pt"})
                assert (answer.status_code, place) == (503, place)
                assert answer.headers["content-type"].startswith("text/html")
                assert "Nada se perdeu: tente de novo." in answer.text
                assert "urn:mercado-veiculo" not in answer.text
        assert (await portal.get("/account")).status_code == 303


async def test_a_piece_of_a_page_leads_back_to_the_whole_page_after_signing_in(
    portal: ServiceClient, enter: Enter
) -> None:
    await enter("operator")
    await portal.delete("/api/sessions/current")
    page = "https://market.example/operations?queues=all"
    headers = {"HX-Request": "true", "HX-Current-URL": page}
    answer = await portal.get("/operations/live?queues=all", headers=headers)
    assert answer.status_code == 401
    assert answer.headers["HX-Redirect"] == "/sign-in?next=/operations%3Fqueues%3Dall"
