"""/api/health says whether the database answers, and how fast."""

from urllib.parse import urlsplit

import pytest

from libs.runtime.readiness import LATENCY_SECONDS, Latency
from services.portal.infrastructure.settings import PortalSettings
from services.portal.main import build
from tests.fixtures.servers import PostgresServer
from tests.fixtures.services import ServiceClient, running
from tests.integration.portal.conftest import INDEX_KEY, MASTER_KEY, Serve, execute


async def test_health_says_that_the_database_answers_and_in_what_time(
    portal: ServiceClient,
) -> None:
    answer = await portal.get("/api/health")
    health = answer.json()
    assert (answer.status_code, health["status"]) == (200, "ok")
    assert health["database"]["is_reachable"]
    assert 0 < health["database"]["latency_ms"] < 1000


async def test_health_says_the_mean_of_the_last_minutes_and_its_limit(
    serve: Serve, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with serve() as portal:
        database = (await portal.get("/api/health")).json()["database"]
        assert 0 < database["mean_latency_ms"] < 1000
        assert (database["mean_over_seconds"], database["limit_ms"]) == (300, 100)
        monkeypatch.setattr("services.portal.infrastructure.http.LATENCY_LIMIT_MS", 0.0001)
        slow = await portal.get("/api/health")
        assert (slow.status_code, slow.json()["status"]) == (200, "slow")


def test_a_mean_is_of_the_last_minutes_only(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 1000.0
    monkeypatch.setattr("libs.runtime.readiness.time.monotonic", lambda: now)
    latency = Latency()
    assert latency.mean() is None
    latency.note(1.0)
    now += LATENCY_SECONDS / 2
    latency.note(0.5)
    assert latency.mean() == 0.75
    now += LATENCY_SECONDS * 0.6
    assert latency.mean() == 0.5
    now += LATENCY_SECONDS
    assert latency.mean() is None


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
        health = answer.json()
        assert health["status"] == "down"
        assert (health["database"]["is_reachable"], health["database"]["latency_ms"]) == (
            False,
            None,
        )
        await execute(postgres_server.url, f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
        assert (await portal.get("/api/health")).status_code == 200
