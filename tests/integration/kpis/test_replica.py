"""Figures are computed on a standby while it keeps up, else on the primary."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace

import asyncpg
import pytest

from deploy.postgres.provision import DatabaseAccounts, provision
from libs.kernel.ids import uuid7
from libs.runtime import replica
from services.kpis.main import build
from tests.fixtures.polling import eventually
from tests.fixtures.services import migrated, serving
from tests.fixtures.standby import Pair, primary_and_standby
from tests.integration.kpis.conftest import Database, Kpis, settings_for

pytestmark = [pytest.mark.slow, pytest.mark.timeout(180)]

PLENTY, SHORT = 60.0, 0.1


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    with primary_and_standby() as both:
        yield both


@pytest.fixture(scope="module")
def database(pair: Pair) -> Database:
    database = Database(pair.primary.url, "kpis")
    accounts = [DatabaseAccounts("kpis", "secret", "secret", "secret")]
    asyncio.run(provision(pair.primary.url, accounts))
    asyncio.run(migrated("kpis", database.url("migrator").replace(":", "+asyncpg:", 1)))
    return database


@pytest.fixture
async def kpis(
    database: Database, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Kpis]:
    monkeypatch.setattr(replica, "LAG_SECONDS", PLENTY)
    monkeypatch.setattr(replica, "LOOK_SECONDS", 0.1)
    standby = replace(database, server=pair.standby.url)
    service = build(settings_for(database, database_read_url=standby.url("reader")))
    async with serving(service) as client:
        yield Kpis(client, service, database, f"tenant-{uuid.uuid4().hex}")


async def test_a_figure_is_computed_on_the_standby_until_that_is_too_far_behind(
    kpis: Kpis, pair: Pair, monkeypatch: pytest.MonkeyPatch
) -> None:
    defined = await kpis.define("SELECT count(*) AS sales FROM sales")
    assert defined.status_code == 201, defined.text
    kpi_id = defined.json()["id"]

    async def sales() -> int:
        [[count]] = await kpis.rows(kpi_id)
        return int(count)

    async def replica_said() -> str:
        return str((await kpis.client.get("/ready")).json()["checks"]["replica"])

    await kpis.completed(uuid7())

    async def follows() -> bool:
        return await replica_said() == "ok" and await sales() == 1

    async def follows_again() -> bool:
        return await replica_said() == "ok" and await sales() == 2

    await eventually(follows)
    standby = await asyncpg.connect(pair.standby.url)
    try:
        await standby.execute("SELECT pg_wal_replay_pause()")
        await kpis.completed(uuid7())
        assert await sales() == 1, "it was not computed on the standby"

        async def fell_back() -> bool:
            return await sales() == 2

        monkeypatch.setattr(replica, "LAG_SECONDS", SHORT)
        await eventually(fell_back)
        assert "the database itself is read from" in await replica_said()
    finally:
        await standby.execute("SELECT pg_wal_replay_resume()")
        await standby.close()
    monkeypatch.setattr(replica, "LAG_SECONDS", PLENTY)
    await eventually(follows_again)
