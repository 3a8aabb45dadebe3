"""/api/health: whether the database answers, and how fast."""

from urllib.parse import urlsplit

from services.portal.infrastructure.settings import PortalSettings
from services.portal.main import build
from tests.fixtures.servers import PostgresServer
from tests.fixtures.services import ServiceClient, running
from tests.integration.portal.conftest import INDEX_KEY, MASTER_KEY, execute


async def test_it_tells_that_the_database_answers_and_in_what_time(portal: ServiceClient) -> None:
    answer = await portal.get("/api/health")
    health = answer.json()
    assert (answer.status_code, health["status"]) == (200, "ok")
    assert health["database"]["is_reachable"]
    assert 0 < health["database"]["latency_ms"] < 1000


async def test_it_is_503_while_the_database_is_down_and_200_when_it_is_back(
    database: str, postgres_server: PostgresServer
) -> None:
    name = urlsplit(database).path[1:]
    keys = {"data_keys": MASTER_KEY, "index_key": INDEX_KEY}
    async with running(build, PortalSettings, database, **keys) as portal:
        await execute(postgres_server.url, f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
        await execute(
            postgres_server.url,
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1",
            name,
        )
        answer = await portal.get("/api/health")
        assert answer.status_code == 503
        nothing = {"is_reachable": False, "latency_ms": None}
        assert answer.json() == {"status": "down", "database": nothing}
        await execute(postgres_server.url, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        assert (await portal.get("/api/health")).status_code == 200
