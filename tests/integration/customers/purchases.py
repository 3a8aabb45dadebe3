"""Registers persons, delivers events, and reads what the service wrote."""

import json
from typing import Any
from uuid import UUID

from libs.kernel.ids import uuid7
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
    received = [
        client.received(event_type, data["order_id"], data, tenant=tenant)
        for event_type, data in events
    ]
    await client.consumes(*received)


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
    """Return the available, reserved and consumed credit."""
    found = (await client.get(f"/customers/{customer}")).json()
    return found["available_cents"], found["reserved_cents"], found["consumed_cents"]


async def events(client: ServiceClient) -> list[dict[str, Any]]:
    """Return the envelopes in the outbox, oldest first."""
    rows = await client.rows("SELECT body FROM outbox ORDER BY seq")
    return [json.loads(row["body"]) for row in rows]


async def states(client: ServiceClient) -> dict[UUID, str]:
    """Return the state of each purchase's record."""
    rows = await client.rows("SELECT order_id, state FROM credit_reservations")
    return {row["order_id"]: row["state"] for row in rows}


async def forget_purchases(client: ServiceClient) -> None:
    await client.execute("TRUNCATE credit_reservations, customers, outbox")
