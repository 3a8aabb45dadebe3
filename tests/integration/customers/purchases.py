"""What the tests do to the service: register people, deliver events, read what was written."""

import json
from typing import Any
from uuid import UUID

from pydantic_core import to_jsonable_python
from sqlalchemy import select, text

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from libs.messaging.envelope import Received
from services.customers.infrastructure.postgres import PostgresCustomersUnitOfWork
from services.customers.infrastructure.tables import TABLES, credit_reservations
from tests.fixtures.services import ServiceClient

ANA = {
    "name": "Ana Souza",
    "email": "ana@example.com",
    "phone": "(11) 91234-5678",
    "document": "529.982.247-25",
}
BRUNO = {
    "name": "Bruno Lima",
    "email": "bruno@example.com",
    "phone": "+5521987654321",
    "document": "11144477735",
}


async def register(
    client: ServiceClient,
    person: dict[str, str] = ANA,
    limit: int = 10_000,
    tenant: str = "default",
) -> dict[str, Any]:
    answer = await client.post(
        "/customers",
        json={**person, "credit_limit_cents": limit},
        headers={"X-Tenant-Id": tenant},
    )
    assert answer.status_code == 201, answer.text
    registered: dict[str, Any] = answer.json()
    return registered


async def deliver(
    client: ServiceClient, *events: tuple[str, dict[str, Any]], tenant: str = "default"
) -> None:
    """React to events in one transaction, as the subscriber does with a batch."""

    async def work(uow: PostgresCustomersUnitOfWork) -> None:
        for event_type, data in events:
            reaction = client.service.participant.reactions.by_event[event_type]
            received: Any = Received[reaction.data_model]  # type: ignore[name-defined]
            envelope = {
                "id": uuid7(),
                "source": "peer",
                "type": event_type,
                "subject": str(data["order_id"]),
                "time": utc_now(),
                "tenantid": tenant,
                "sequence": 1,
                "data": data,
            }
            event = received.model_validate_json(json.dumps(to_jsonable_python(envelope)))
            await reaction.handler(uow, event)

    await client.service.transactions.run(work)


def confirmed(order: UUID, customer: Any, total: int = 1_000) -> tuple[str, dict[str, Any]]:
    data = {"order_id": order, "customer_id": customer, "vehicle_id": uuid7(), "total_cents": total}
    return "order.confirmed.v1", data


def completed(order: UUID) -> tuple[str, dict[str, Any]]:
    return "order.completed.v1", {"order_id": order}


def closed(order: UUID) -> tuple[str, dict[str, Any]]:
    return "order.closed.v1", {"order_id": order}


def released(order: UUID) -> tuple[str, dict[str, Any]]:
    return "vehicle.released.v1", {"order_id": order}


def not_reserved(order: UUID) -> tuple[str, dict[str, Any]]:
    return "vehicle.reservation_failed.v1", {"order_id": order}


async def credit(client: ServiceClient, customer: Any) -> tuple[int, int, int]:
    """Available, reserved, consumed."""
    found = (await client.get(f"/customers/{customer}")).json()
    return found["available_cents"], found["reserved_cents"], found["consumed_cents"]


async def events(client: ServiceClient) -> list[dict[str, Any]]:
    """The envelopes in the outbox, oldest first."""
    async with client.service.transactions.engine.connect() as connection:
        rows = await connection.execute(select(TABLES.outbox.c.body).order_by(TABLES.outbox.c.seq))
        return [json.loads(body) for body in rows.scalars()]


async def states(client: ServiceClient) -> dict[UUID, str]:
    """The state of each purchase's record."""
    async with client.service.transactions.engine.connect() as connection:
        rows = await connection.execute(
            select(credit_reservations.c.order_id, credit_reservations.c.state)
        )
        return {row.order_id: row.state for row in rows}


async def forget_purchases(client: ServiceClient) -> None:
    async with client.service.transactions.engine.begin() as connection:
        await connection.execute(text("TRUNCATE credit_reservations, customers, outbox"))
