"""One migrated database per worker, emptied for each test; each test has a tenant of its own."""

import json
import uuid
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlalchemy import text

from libs.kernel.ids import uuid7
from libs.messaging.envelope import Received
from libs.runtime.service import Service
from services.payments.infrastructure.postgres import PostgresPaymentsUnitOfWork
from services.payments.infrastructure.settings import PaymentsSettings
from services.payments.main import build
from services.tokens import Issuer
from tests.fixtures.databases import migrated_database_of
from tests.fixtures.polling import eventually
from tests.fixtures.servers import PostgresServer
from tests.fixtures.services import serving


@pytest.fixture(scope="session")
def payments_database(postgres_server: PostgresServer) -> Iterator[str]:
    with migrated_database_of("payments", postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("keys"))


@dataclass
class Payments:
    """The service as a test sees it. Its loops do not run by themselves: a test turns them."""

    client: httpx.AsyncClient
    service: Service[PostgresPaymentsUnitOfWork]
    issuer: Issuer
    tenant: str
    customer_id: UUID

    def caller(
        self, role: str, *, customer_id: UUID | None = None, tenant: str | None = None
    ) -> dict[str, str]:
        """Headers of a caller with this role."""
        token = self.issuer.token(
            roles=[role],
            subject=f"some-{role}",
            tenant=tenant or self.tenant,
            customer_id=customer_id,
        )
        return {"Authorization": f"Bearer {token}"}

    @property
    def buyer(self) -> dict[str, str]:
        return self.caller("buyer", customer_id=self.customer_id)

    @property
    def operator(self) -> dict[str, str]:
        return self.caller("operator")

    async def hears(self, event_type: str, order_id: UUID, **data: Any) -> None:
        """Run the reaction to this event in a transaction, as the subscriber does."""
        reaction = self.service.participant.reactions.by_event[event_type]
        view: Any = Received[reaction.data_model]  # type: ignore[name-defined]
        event = view.model_validate(
            {
                "id": uuid7(),
                "source": "peer",
                "type": event_type,
                "subject": str(order_id),
                "time": datetime.now(UTC),
                "tenantid": self.tenant,
                "sequence": 1,
                "data": data | {"order_id": order_id},
            }
        )
        await self.service.transactions.run(lambda uow: reaction.handler(uow, event))

    async def reserved(self, order_id: UUID | None = None, price_cents: int = 4_500_000) -> UUID:
        order_id = order_id or uuid7()
        await self.hears(
            "vehicle.reserved.v1",
            order_id,
            customer_id=self.customer_id,
            price_cents=price_cents,
        )
        return order_id

    async def cancelled(self, order_id: UUID) -> None:
        await self.hears("order.cancellation_requested.v1", order_id)

    async def paid(self, order_id: UUID, method: str = "tok_approve") -> str:
        """Pay its code; the payment's id."""
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
        """A purchase whose refund the gateway keeps refusing: its order and payment id."""
        order_id = await self.reserved()
        payment_id = await self.paid(order_id, "tok_refund_refused")
        await self.gateway_turn()
        await self.cancelled(order_id)
        for _ in range(3):
            await self.gateway_turn()
        assert await self.state(order_id) == "REFUND_FAILED"
        return order_id, payment_id

    async def gateway_turn(self) -> None:
        """Everything that waits for the gateway is due now, is called, and its answer recorded."""
        await self.execute(
            "UPDATE payments SET next_attempt = now(), claim = NULL WHERE next_attempt IS NOT NULL"
        )
        await self.loop("gateway")
        await eventually(self._answers_recorded)

    async def _answers_recorded(self) -> bool:
        return not await self.rows("SELECT 1 FROM payments WHERE claim IS NOT NULL")

    async def loop(self, name: str) -> bool:
        return await next(loop for loop in self.service.loops if loop.name == name).work()

    async def code(self, order_id: UUID) -> str:
        return str((await self.record(order_id))["code"])

    async def state(self, order_id: UUID) -> str:
        return str((await self.record(order_id))["state"])

    async def record(self, order_id: UUID) -> Any:
        (row,) = await self.rows("SELECT * FROM payments WHERE order_id = :order", order=order_id)
        return row

    async def told(self, order_id: UUID) -> list[dict[str, Any]]:
        """Envelopes in the outbox about the purchase, oldest first."""
        rows = await self.rows(
            "SELECT body FROM outbox WHERE subject = :order ORDER BY seq", order=str(order_id)
        )
        return [json.loads(row["body"]) for row in rows]

    async def types(self, order_id: UUID) -> list[str]:
        return [event["type"] for event in await self.told(order_id)]

    async def moved(self, order_id: UUID, kind: str) -> int:
        """How often the gateway charged or refunded the purchase."""
        rows = await self.rows(
            "SELECT count(*) FROM sandbox_operations"
            " WHERE order_id = :order AND kind = :kind AND outcome = 'approved'",
            order=order_id,
            kind=kind,
        )
        return int(rows[0]["count"])

    async def overdue(self, order_id: UUID) -> None:
        await self.execute(
            "UPDATE payments SET expires_at = now() WHERE order_id = :order", order=order_id
        )

    async def somebody_waits_for_a_lock(self) -> bool:
        waiting = await self.rows(
            "SELECT 1 FROM pg_stat_activity"
            " WHERE datname = current_database() AND wait_event_type = 'Lock'"
        )
        return bool(waiting)

    async def execute(self, statement: str, **values: object) -> None:
        async with self.service.transactions.engine.begin() as connection:
            await connection.execute(text(statement), values)

    async def rows(self, statement: str, **values: object) -> list[Any]:
        async with self.service.transactions.engine.connect() as connection:
            return list((await connection.execute(text(statement), values)).mappings())


@pytest.fixture
def settings(payments_database: str, issuer: Issuer) -> PaymentsSettings:
    return PaymentsSettings(
        _env_file=None,
        database_url=payments_database,
        role="api",
        auth="on",
        jwks_url=str(issuer.jwks),
        gateway_patience_seconds=1,
        gateway_limit_cents=100_000_000,
    )


@pytest.fixture
async def payments(settings: PaymentsSettings, issuer: Issuer) -> AsyncIterator[Payments]:
    service = build(settings)
    async with serving(service) as client:
        tested = Payments(client, service, issuer, f"tenant-{uuid.uuid4().hex}", uuid7())
        await tested.execute("TRUNCATE payments, sandbox_operations, outbox")
        yield tested
