"""/ready of kpis says whether the role that computes KPIs can connect and may read."""

import pytest

from libs.runtime import readiness
from services.kpis.main import build
from tests.fixtures.polling import eventually
from tests.fixtures.services import ServiceClient, serving
from tests.integration.kpis.conftest import Database, settings_for


@pytest.fixture(autouse=True)
def always_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(readiness, "REMEMBERED_SECONDS", 0.0)


async def reader(client: ServiceClient) -> tuple[int, str]:
    answer = await client.get("/ready")
    return answer.status_code, answer.json()["checks"]["reader"]


async def test_kpis_are_not_ready_while_their_reader_cannot_be_reached(
    kpis_database: Database,
) -> None:
    nowhere = "postgresql://kpis_reader:secret@127.0.0.1:1/kpis"
    async with serving(build(settings_for(kpis_database, reader_database_url=nowhere))) as client:
        assert await reader(client) == (503, "down")
        assert (await client.get("/health")).status_code == 200


async def test_kpis_are_not_ready_while_their_reader_may_not_read_and_ready_again_afterwards(
    kpis_database: Database,
) -> None:
    role = f"{kpis_database.name}_reader"
    async with serving(build(settings_for(kpis_database))) as client:
        assert await reader(client) == (200, "ok")
        async with kpis_database.connected("migrator") as connection:
            await connection.execute(f"SET ROLE {kpis_database.name}_owner")
            await connection.execute(f"REVOKE SELECT ON published.sales FROM {role}")
            try:
                assert await reader(client) == (503, "down")
            finally:
                await connection.execute(f"GRANT SELECT ON published.sales TO {role}")

        async def well() -> bool:
            return await reader(client) == (200, "ok")

        await eventually(well)


async def test_a_process_that_answers_no_requests_does_not_need_the_reader(
    kpis_database: Database, vhost: str
) -> None:
    nowhere = "postgresql://kpis_reader:secret@127.0.0.1:1/kpis"
    settings = settings_for(
        kpis_database, role="relay", rabbitmq_url=vhost, reader_database_url=nowhere
    )
    async with serving(build(settings)) as client:
        assert "reader" not in (await client.get("/ready")).json()["checks"]
