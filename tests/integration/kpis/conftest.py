"""Each worker has one provisioned database with its three roles. Each test has its own tenants."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlsplit, urlunsplit
from uuid import UUID

import asyncpg
import httpx
import pytest

from deploy.postgres.provision import DatabaseAccounts, provision
from libs.kernel.ids import uuid7
from libs.runtime.service import Service
from services.kpis.infrastructure.postgres import PostgresKpisUnitOfWork
from services.kpis.infrastructure.settings import KpisSettings
from services.kpis.main import build
from tests.fixtures.servers import PostgresServer
from tests.fixtures.services import ServiceClient, migrated, serving

NOVEMBER = datetime(2026, 11, 10, 12, tzinfo=UTC)


@dataclass(frozen=True)
class Database:
    """`name` replaces the kpis of an installation: NAME_app, NAME_reader and so on."""

    server: str
    name: str

    def url(self, role: str) -> str:
        place = urlsplit(self.server)
        netloc = f"{self.name}_{role}:secret@{place.hostname}:{place.port}"
        return urlunsplit(place._replace(netloc=netloc, path=f"/{self.name}"))

    @asynccontextmanager
    async def connected(self, role: str) -> AsyncIterator[asyncpg.Connection]:
        connection = await asyncpg.connect(self.url(role))
        try:
            yield connection
        finally:
            await connection.close()


async def _drop(server: str, name: str) -> None:
    connection = await asyncpg.connect(server)
    try:
        await connection.execute(f"DROP DATABASE IF EXISTS {name} WITH (FORCE)")
        for role in ("reader", "app", "migrator", "owner"):
            await connection.execute(f"DROP ROLE IF EXISTS {name}_{role}")
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def kpis_database(postgres_server: PostgresServer) -> Iterator[Database]:
    database = Database(postgres_server.url, f"kpis_{uuid.uuid4().hex[:12]}")
    account = DatabaseAccounts(database.name, "secret", "secret", "secret")
    try:
        asyncio.run(provision(postgres_server.url, [account]))
        asyncio.run(migrated("kpis", database.url("migrator").replace(":", "+asyncpg:", 1)))
        yield database
    finally:
        asyncio.run(_drop(postgres_server.url, database.name))


@dataclass
class Kpis:
    """`Kpis` is the service as a test sees it."""

    client: ServiceClient
    service: Service[PostgresKpisUnitOfWork]
    database: Database
    tenant: str

    @property
    def headers(self) -> dict[str, str]:
        return {"X-Tenant-Id": self.tenant}

    async def consumes(
        self,
        event_type: str,
        subject: UUID,
        *,
        at: datetime = NOVEMBER,
        sequence: int = 1,
        tenant: str | None = None,
        **data: Any,
    ) -> None:
        """Run the reaction to this event in a transaction, as the subscriber does."""
        event = self.client.received(
            event_type, subject, data, tenant=tenant or self.tenant, sequence=sequence, at=at
        )
        await self.client.consumes(event)

    async def completed(self, order: UUID, cents: int = 4_500_000, **how: Any) -> None:
        usual = {"customer_id": uuid7(), "vehicle_id": uuid7(), "seller_id": uuid7()}
        data = {**usual, "total_cents": cents, **how}
        await self.consumes("order.completed.v1", order, **data)

    async def cancelled(
        self, order: UUID, cents: int = 4_500_000, kind: str = "cancelled", **how: Any
    ) -> None:
        usual = {"customer_id": uuid7(), "vehicle_id": uuid7(), "reason": "cancelled_by_buyer"}
        await self.consumes(f"order.{kind}.v1", order, **{**usual, "total_cents": cents, **how})

    async def closed(self, order: UUID, cents: int = 4_500_000, **how: Any) -> None:
        await self.consumes(
            "order.closed.v1", order, **{"seller_id": uuid7(), "total_cents": cents, **how}
        )

    async def define(self, template: str, kpi_id: str | None = None) -> httpx.Response:
        kpi = {
            "id": kpi_id or f"kpi_{uuid.uuid4().hex}",
            "name": "A figure",
            "sql_template": template,
        }
        return await self.client.post("/kpis", json=kpi, headers=self.headers)

    async def value(
        self, kpi_id: str, month: str | None = "2026-11", tenant: str | None = None
    ) -> Any:
        answer = await self.client.get(
            f"/kpis/{kpi_id}/value",
            params={} if month is None else {"month": month},
            headers={"X-Tenant-Id": tenant or self.tenant},
        )
        assert answer.status_code == 200, answer.text
        return answer.json()

    async def rows(self, kpi_id: str, month: str | None = "2026-11") -> list[list[Any]]:
        found: list[list[Any]] = (await self.value(kpi_id, month))["rows"]
        return found

    async def row_of(self, table: str, subject: UUID) -> list[tuple[str, Any]]:
        """Return names and values of a row of the read model."""
        async with self.database.connected("app") as connection:
            row = await connection.fetchrow(f"SELECT * FROM {table} WHERE subject = $1", subject)
        assert row is not None
        return list(row.items())

    async def asked(self, template: str) -> list[list[Any]]:
        """Define a template in the tenant, and return its rows."""
        defined = await self.define(template)
        assert defined.status_code == 201, defined.text
        return await self.rows(defined.json()["id"])


def settings_for(database: Database, **others: Any) -> KpisSettings:
    chosen: dict[str, Any] = {
        "_env_file": None,
        "database_url": database.url("app"),
        "reader_database_url": database.url("reader"),
        "role": "api",
        **others,
    }
    return KpisSettings(**chosen)


@pytest.fixture
async def kpis(kpis_database: Database) -> AsyncIterator[Kpis]:
    service = build(settings_for(kpis_database, kpi_timeout_seconds=1, kpi_max_rows=50))
    async with serving(service) as client:
        yield Kpis(client, service, kpis_database, f"tenant-{uuid.uuid4().hex}")
