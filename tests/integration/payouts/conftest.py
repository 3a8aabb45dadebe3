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
from services.payouts.infrastructure.postgres import PostgresPayoutsUnitOfWork
from services.payouts.infrastructure.settings import PayoutsSettings
from services.payouts.main import build
from services.tokens import Issuer
from tests.fixtures.databases import migrated_database_of
from tests.fixtures.polling import eventually
from tests.fixtures.servers import PostgresServer
from tests.fixtures.services import serving

REFUSED_FOR_GOOD, REFUSED_ONCE, REFUSED_THRICE, LOST_CALL, LOST_ANSWER, SILENT = (
    UUID(f"00000000-0000-7000-8000-badbad00000{number}") for number in range(1, 7)
)
"""Sellers the sandbox bank has something in store for."""


@pytest.fixture(scope="session")
def payouts_database(postgres_server: PostgresServer) -> Iterator[str]:
    with migrated_database_of("payouts", postgres_server) as url:
        yield url


@pytest.fixture(scope="session")
def issuer(tmp_path_factory: pytest.TempPathFactory) -> Issuer:
    return Issuer(tmp_path_factory.mktemp("keys"))


@dataclass
class Payouts:
    """The service as a test sees it. Its loop does not run by itself: a test turns it."""

    client: httpx.AsyncClient
    service: Service[PostgresPayoutsUnitOfWork]
    issuer: Issuer
    tenant: str

    def caller(self, role: str, *, subject: str = "", tenant: str | None = None) -> dict[str, str]:
        """Headers of a caller with this role."""
        token = self.issuer.token(
            roles=[role], subject=subject or f"some-{role}", tenant=tenant or self.tenant
        )
        return {"Authorization": f"Bearer {token}"}

    @property
    def admin(self) -> dict[str, str]:
        return self.caller("admin")

    @property
    def operator(self) -> dict[str, str]:
        return self.caller("operator")

    def seller(self, seller_id: UUID) -> dict[str, str]:
        return self.caller("seller", subject=str(seller_id))

    async def closed(
        self,
        order_id: UUID | None = None,
        seller_id: UUID | None = None,
        *,
        sold: bool = True,
    ) -> UUID:
        """Run the reaction to a closed order in a transaction, as the subscriber does."""
        order_id = order_id or uuid7()
        reaction = self.service.participant.reactions.by_event["order.closed.v1"]
        view: Any = Received[reaction.data_model]  # type: ignore[name-defined]
        seller_id = seller_id or uuid7()
        event = view.model_validate(
            {
                "id": uuid7(),
                "source": "orders",
                "type": "order.closed.v1",
                "subject": str(order_id),
                "time": datetime.now(UTC),
                "tenantid": self.tenant,
                "sequence": 3,
                "data": {
                    "order_id": order_id,
                    "seller_id": seller_id if sold else None,
                    "total_cents": 4_500_000,
                },
            }
        )
        await self.service.transactions.run(lambda uow: reaction.handler(uow, event))
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
        """Everything that waits for the bank is due now, is called, and its answer recorded."""
        for _ in range(times):
            await self.execute(
                "UPDATE payouts SET next_attempt = now(), claim = NULL"
                " WHERE next_attempt IS NOT NULL"
            )
            await self.loop()
            await eventually(self._answers_recorded)

    async def _answers_recorded(self) -> bool:
        return not await self.rows("SELECT 1 FROM payouts WHERE claim IS NOT NULL")

    async def loop(self) -> bool:
        (bank,) = [loop for loop in self.service.loops if loop.name == "bank"]
        return await bank.work()

    async def record(self, external_id: object) -> Any:
        """Of an external id, or of an order."""
        (row,) = await self.rows(
            "SELECT * FROM payouts WHERE :id IN (external_id, order_id::text)", id=str(external_id)
        )
        return row

    async def status(self, external_id: object) -> str:
        return str((await self.record(external_id))["status"])

    async def told(self, subject: object) -> list[dict[str, Any]]:
        """Envelopes in the outbox about an order or a payout by hand, oldest first."""
        rows = await self.rows(
            "SELECT body FROM outbox WHERE subject = :subject ORDER BY seq", subject=str(subject)
        )
        return [json.loads(row["body"]) for row in rows]

    async def types(self, subject: object) -> list[str]:
        return [event["type"] for event in await self.told(subject)]

    async def transfers(self) -> list[tuple[bool, int]]:
        """The bank's books: for each payout whether it was paid, and how often it was asked."""
        rows = await self.rows("SELECT paid, calls FROM sandbox_transfers ORDER BY made_at")
        return [(row["paid"], row["calls"]) for row in rows]

    async def execute(self, statement: str, **values: object) -> None:
        async with self.service.transactions.engine.begin() as connection:
            await connection.execute(text(statement), values)

    async def rows(self, statement: str, **values: object) -> list[Any]:
        async with self.service.transactions.engine.connect() as connection:
            return list((await connection.execute(text(statement), values)).mappings())


@pytest.fixture
def settings(payouts_database: str, issuer: Issuer) -> PayoutsSettings:
    return PayoutsSettings(
        _env_file=None,
        database_url=payouts_database,
        role="api",
        auth="on",
        jwks_url=str(issuer.jwks),
        bank_patience_seconds=1,
    )


@pytest.fixture
async def payouts(settings: PayoutsSettings, issuer: Issuer) -> AsyncIterator[Payouts]:
    service = build(settings)
    async with serving(service) as client:
        tested = Payouts(client, service, issuer, f"tenant-{uuid.uuid4().hex}")
        await tested.execute("TRUNCATE payouts, sandbox_transfers, outbox")
        yield tested
