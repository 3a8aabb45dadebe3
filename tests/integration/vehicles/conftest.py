"""Each worker has one migrated database, and each test has its own tenant in it."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from libs.kernel.ids import uuid7
from libs.runtime.crypto import new_key
from services.tokens import Issuer
from services.vehicles.infrastructure.settings import VehiclesSettings
from services.vehicles.main import build
from tests.fixtures.databases import emptied, migrated_database_of
from tests.fixtures.servers import PostgresServer
from tests.fixtures.services import serving
from tests.fixtures.under_test import ServiceUnderTest
from tests.unit.vehicles.samples import DETAILS, new_papers


@pytest.fixture(scope="session")
def vehicles_database(postgres_server: PostgresServer) -> Iterator[str]:
    with migrated_database_of("vehicles", postgres_server) as url:
        yield url


@dataclass
class Vehicles(ServiceUnderTest):
    @property
    def admin(self) -> dict[str, str]:
        return self.caller("admin")

    async def listed(self, **changes: Any) -> dict[str, Any]:
        """Put a vehicle on the market as an admin. `changes` are to a valid body."""
        answer = await self.client.post("/vehicles", json=body(**changes), headers=self.admin)
        assert answer.status_code == 201, answer.text
        listed: dict[str, Any] = answer.json()
        return listed

    async def get(self, vehicle_id: str) -> dict[str, Any]:
        answer = await self.client.get(f"/vehicles/{vehicle_id}", headers=self.admin)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def consumes_credit_reserved(
        self, vehicle: dict[str, Any], order_id: UUID | None = None, total_cents: int | None = None
    ) -> UUID:
        order_id = order_id or uuid7()
        await self.consumes(
            "credit.reserved.v1",
            order_id,
            customer_id=uuid7(),
            vehicle_id=vehicle["id"],
            total_cents=vehicle["price_cents"] if total_cents is None else total_cents,
        )
        return order_id

    async def state(self, order_id: UUID) -> str | None:
        rows = await self.client.rows(
            "SELECT state FROM reservations WHERE order_id = :id", id=order_id
        )
        return rows[0]["state"] if rows else None


def body(**changes: Any) -> dict[str, Any]:
    papers = new_papers()
    return {
        **vars(DETAILS),
        "plate": papers.plate,
        "chassis_number": papers.chassis_number,
        "renavam": papers.renavam,
        "seller_id": str(uuid7()),
        **changes,
    }


@pytest.fixture(scope="session")
def keys() -> dict[str, Any]:
    return {"data_keys": f"k1:{new_key()}", "index_key": new_key()}


@pytest.fixture
async def vehicles(
    vehicles_database: str, issuer: Issuer, keys: dict[str, Any]
) -> AsyncIterator[Vehicles]:
    settings = VehiclesSettings(
        _env_file=None,
        database_url=vehicles_database,
        role="api",
        auth="on",
        jwks_url=str(issuer.jwks),
        **keys,
    )
    # Nothing is relayed here, and events that wait too long stop the service.
    await emptied(vehicles_database, "outbox")
    async with serving(build(settings)) as client:
        yield Vehicles(client, issuer, f"tenant-{uuid.uuid4().hex}")


Race = Callable[..., Awaitable[list[Any]]]


@pytest.fixture
def race() -> Race:
    """Return a function that runs all at once and returns answers and refusals in order."""

    async def run(*contenders: Awaitable[Any]) -> list[Any]:
        return await asyncio.gather(*contenders, return_exceptions=True)

    return run
