"""Each worker has one migrated database, emptied for each test. Each test has its own tenant."""

import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any
from uuid import UUID

import httpx
import pytest

from libs.kernel.ids import uuid7
from services.payouts.infrastructure.settings import PayoutsSettings
from services.payouts.main import build
from services.tokens import Issuer
from tests.fixtures.databases import migrated_database_of
from tests.fixtures.servers import PostgresServer
from tests.fixtures.services import serving
from tests.fixtures.under_test import ServiceUnderTest

REFUSED_FOR_GOOD, REFUSED_ONCE, REFUSED_THRICE, LOST_CALL, LOST_ANSWER, SILENT = (
    UUID(f"00000000-0000-7000-8000-badbad00000{number}") for number in range(1, 7)
)
"""The sandbox bank answers these sellers in special ways."""


@pytest.fixture(scope="session")
def payouts_database(postgres_server: PostgresServer) -> Iterator[str]:
    with migrated_database_of("payouts", postgres_server) as url:
        yield url


class Payouts(ServiceUnderTest):
    @property
    def admin(self) -> dict[str, str]:
        return self.caller("admin")

    def seller(self, seller_id: UUID) -> dict[str, str]:
        return self.caller("seller", subject=str(seller_id))

    async def closed(
        self,
        order_id: UUID | None = None,
        seller_id: UUID | None = None,
        *,
        sold: bool = True,
    ) -> UUID:
        order_id, seller_id = order_id or uuid7(), seller_id or uuid7()
        data = {"seller_id": seller_id if sold else None, "total_cents": 4_500_000}
        await self.consumes("order.closed.v1", order_id, **data)
        return order_id

    async def request(
        self,
        external_id: str,
        amount_cents: int = 1_000,
        seller_id: UUID | None = None,
        headers: dict[str, str] | None = None,
    ) -> httpx.Response:
        body: dict[str, Any] = {"external_id": external_id, "amount_cents": amount_cents}
        if seller_id is not None:
            body["seller_id"] = str(seller_id)
        return await self.client.post("/payouts", json=body, headers=headers or self.admin)

    async def bank_turn(self, times: int = 1) -> None:
        for _ in range(times):
            await self.calls("bank", "payouts")

    async def record(self, external_id: object) -> Any:
        """Return the record of an external id, or of an order."""
        (row,) = await self.client.rows(
            "SELECT * FROM payouts WHERE :id IN (external_id, order_id::text)", id=str(external_id)
        )
        return row

    async def status(self, external_id: object) -> str:
        return str((await self.record(external_id))["status"])

    async def transfers(self) -> list[tuple[bool, int]]:
        """Return for each payout whether the bank has paid it, and how often it was asked."""
        rows = await self.client.rows("SELECT paid, calls FROM sandbox_transfers ORDER BY made_at")
        return [(row["paid"], row["calls"]) for row in rows]


@pytest.fixture
def settings(payouts_database: str, issuer: Issuer, patience: float) -> PayoutsSettings:
    return PayoutsSettings(
        _env_file=None,
        database_url=payouts_database,
        role="api",
        auth="on",
        jwks_url=str(issuer.jwks),
        bank_patience_seconds=patience,
    )


@pytest.fixture
async def payouts(settings: PayoutsSettings, issuer: Issuer) -> AsyncIterator[Payouts]:
    service = build(settings)
    async with serving(service) as client:
        tested = Payouts(client, issuer, f"tenant-{uuid.uuid4().hex}")
        await tested.client.execute("TRUNCATE payouts, sandbox_transfers, outbox")
        yield tested
