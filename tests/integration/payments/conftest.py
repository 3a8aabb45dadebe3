"""Each worker has one migrated database, emptied for each test. Each test has its own tenant."""

import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
import pytest

from libs.kernel.ids import uuid7
from services.payments.infrastructure.settings import PaymentsSettings
from services.payments.main import build
from services.tokens import Issuer
from tests.fixtures.databases import migrated_database_of
from tests.fixtures.servers import PostgresServer
from tests.fixtures.services import serving
from tests.fixtures.under_test import ServiceUnderTest


@pytest.fixture(scope="session")
def payments_database(postgres_server: PostgresServer) -> Iterator[str]:
    with migrated_database_of("payments", postgres_server) as url:
        yield url


@dataclass
class Payments(ServiceUnderTest):
    customer_id: UUID

    @property
    def buyer(self) -> dict[str, str]:
        return self.caller("buyer", customer_id=self.customer_id)

    async def reserved(self, order_id: UUID | None = None, price_cents: int = 4_500_000) -> UUID:
        order_id = order_id or uuid7()
        data = {"customer_id": self.customer_id, "price_cents": price_cents}
        await self.consumes("vehicle.reserved.v1", order_id, **data)
        return order_id

    async def cancelled(self, order_id: UUID) -> None:
        await self.consumes("order.cancellation_requested.v1", order_id)

    async def paid(self, order_id: UUID, method: str = "tok_approve") -> str:
        """Pay the order's code, and return the payment's id."""
        answer = await self.pay(await self.code(order_id), method)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["payment_id"])

    async def pay(
        self, code: str, method: str = "tok_approve", key: str | None = None
    ) -> httpx.Response:
        return await self.client.post(
            "/payments",
            json={"code": code, "method": method},
            headers=self.buyer | {"Idempotency-Key": key or uuid.uuid4().hex},
        )

    async def refund_failed(self) -> tuple[UUID, str]:
        """Make a purchase whose refund keeps being refused. Returns its order and payment id."""
        order_id = await self.reserved()
        payment_id = await self.paid(order_id, "tok_refund_refused")
        await self.gateway_turn()
        await self.cancelled(order_id)
        for _ in range(3):
            await self.gateway_turn()
        assert await self.state(order_id) == "REFUND_FAILED"
        return order_id, payment_id

    async def gateway_turn(self) -> None:
        await self.calls("gateway", "payments")

    async def code(self, order_id: UUID) -> str:
        return str((await self.record(order_id))["code"])

    async def state(self, order_id: UUID) -> str:
        return str((await self.record(order_id))["state"])

    async def record(self, order_id: UUID) -> Any:
        (row,) = await self.client.rows(
            "SELECT * FROM payments WHERE order_id = :order", order=order_id
        )
        return row

    async def moved(self, order_id: UUID, kind: str) -> int:
        """Return how often the gateway charged or refunded the purchase."""
        rows = await self.client.rows(
            "SELECT count(*) FROM sandbox_operations"
            " WHERE order_id = :order AND kind = :kind AND outcome = 'approved'",
            order=order_id,
            kind=kind,
        )
        return int(rows[0]["count"])

    async def overdue(self, order_id: UUID) -> None:
        await self.client.execute(
            "UPDATE payments SET expires_at = now() WHERE order_id = :order", order=order_id
        )


@pytest.fixture
def settings(payments_database: str, issuer: Issuer, patience: float) -> PaymentsSettings:
    return PaymentsSettings(
        _env_file=None,
        database_url=payments_database,
        role="api",
        auth="on",
        jwks_url=str(issuer.jwks),
        gateway_patience_seconds=patience,
        gateway_limit_cents=100_000_000,
    )


@pytest.fixture
async def payments(settings: PaymentsSettings, issuer: Issuer) -> AsyncIterator[Payments]:
    service = build(settings)
    async with serving(service) as client:
        tested = Payments(client, issuer, f"tenant-{uuid.uuid4().hex}", uuid7())
        await tested.client.execute("TRUNCATE payments, sandbox_operations, outbox")
        yield tested
