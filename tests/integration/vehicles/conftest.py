"""One migrated database per worker; each test has a tenant of its own in it."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
import jwt
import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from jwt.algorithms import ECAlgorithm
from sqlalchemy import text

from libs.kernel.ids import uuid7
from libs.messaging.envelope import Received
from libs.messaging.outbox.unit_of_work import Transactions
from libs.runtime.crypto import new_key
from services.vehicles.infrastructure.consumers import participant
from services.vehicles.infrastructure.postgres import PostgresVehiclesUnitOfWork
from services.vehicles.infrastructure.settings import VehiclesSettings
from services.vehicles.main import build
from tests.fixtures.databases import migrated_database_of
from tests.fixtures.servers import PostgresServer
from tests.fixtures.services import serving
from tests.unit.vehicles.samples import DETAILS, new_papers

KEY = ec.generate_private_key(ec.SECP256R1())
ISSUER = "mercado-veiculo"


@pytest.fixture(scope="session")
def vehicles_database(postgres_server: PostgresServer) -> Iterator[str]:
    with migrated_database_of("vehicles", postgres_server) as url:
        yield url


@dataclass
class Vehicles:
    """The service as a test sees it: its endpoints for a caller, its reactions, its events."""

    client: httpx.AsyncClient
    transactions: Transactions[PostgresVehiclesUnitOfWork]
    tenant: str

    def caller(
        self, *roles: str, subject: str = "someone", tenant: str | None = None
    ) -> dict[str, str]:
        """Headers of a caller with these roles."""
        now = datetime.now(UTC)
        claims = {
            "iss": ISSUER,
            "aud": ISSUER,
            "sub": subject,
            "tenant": tenant or self.tenant,
            "roles": list(roles),
            "iat": now,
            "exp": now + timedelta(minutes=5),
        }
        token = jwt.encode(claims, KEY, algorithm="ES256", headers={"kid": "test"})
        return {"Authorization": f"Bearer {token}"}

    @property
    def admin(self) -> dict[str, str]:
        return self.caller("admin")

    async def listed(self, **changes: Any) -> dict[str, Any]:
        """A vehicle put on the market by an admin; `changes` are to a valid body."""
        answer = await self.client.post("/vehicles", json=body(**changes), headers=self.admin)
        assert answer.status_code == 201, answer.text
        listed: dict[str, Any] = answer.json()
        return listed

    async def get(self, vehicle_id: str) -> dict[str, Any]:
        answer = await self.client.get(f"/vehicles/{vehicle_id}", headers=self.admin)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    async def hears(self, event_type: str, *, sequence: int = 1, **data: Any) -> None:
        """Run the reaction to this event in a transaction, as the subscriber does."""
        reaction = participant().reactions.by_event[event_type]
        event = Received[reaction.data_model].model_validate(  # type: ignore[name-defined]
            {
                "id": uuid7(),
                "source": "peer",
                "type": event_type,
                "subject": str(data["order_id"]),
                "time": datetime.now(UTC),
                "tenantid": self.tenant,
                "sequence": sequence,
                "data": data,
            }
        )
        await self.transactions.run(lambda uow: reaction.handler(uow, event))

    async def hears_credit_reserved(
        self, vehicle: dict[str, Any], order_id: UUID | None = None, total_cents: int | None = None
    ) -> UUID:
        order_id = order_id or uuid7()
        await self.hears(
            "credit.reserved.v1",
            order_id=order_id,
            customer_id=uuid7(),
            vehicle_id=vehicle["id"],
            total_cents=vehicle["price_cents"] if total_cents is None else total_cents,
        )
        return order_id

    async def told(self, subject: object) -> list[dict[str, Any]]:
        """Envelopes in the outbox about one purchase or vehicle, oldest first."""
        rows = await self.rows("SELECT body FROM outbox WHERE subject = :s ORDER BY seq", s=subject)
        return [json.loads(row["body"]) for row in rows]

    async def types(self, subject: object) -> list[str]:
        return [event["type"] for event in await self.told(subject)]

    async def state(self, order_id: UUID) -> str | None:
        rows = await self.rows(
            "SELECT state FROM reservations WHERE order_id = cast(:s as uuid)", s=order_id
        )
        return rows[0]["state"] if rows else None

    async def rows(self, statement: str, **values: object) -> list[Any]:
        async with self.transactions.engine.connect() as connection:
            found = await connection.execute(
                text(statement), {name: str(value) for name, value in values.items()}
            )
            return list(found.mappings())


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
def jwks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    key = ECAlgorithm.to_jwk(KEY.public_key(), as_dict=True) | {"kid": "test", "alg": "ES256"}
    path = tmp_path_factory.mktemp("vehicles") / "jwks.json"
    path.write_text(json.dumps({"keys": [key]}))
    return path


@pytest.fixture(scope="session")
def keys() -> dict[str, Any]:
    return {"data_keys": f"k1:{new_key()}", "index_key": new_key()}


@pytest.fixture
async def vehicles(
    vehicles_database: str, jwks: Path, keys: dict[str, Any]
) -> AsyncIterator[Vehicles]:
    settings = VehiclesSettings(
        _env_file=None,
        database_url=vehicles_database,
        role="api",
        auth="on",
        jwks_url=str(jwks),
        jwt_issuer=ISSUER,
        jwt_audience=ISSUER,
        **keys,
    )
    service = build(settings)
    async with serving(service) as client:
        yield Vehicles(client, service.transactions, f"tenant-{uuid.uuid4().hex}")


Race = Callable[..., Awaitable[list[Any]]]


@pytest.fixture
def race() -> Race:
    """All at once; answers and refusals, in the order of the arguments."""

    async def run(*contenders: Awaitable[Any]) -> list[Any]:
        return await asyncio.gather(*contenders, return_exceptions=True)

    return run
