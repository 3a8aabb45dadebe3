"""Buys, lets orders consume a peer's events, and reads the result."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx

from libs.messaging.envelope import Received
from tests.fixtures.services import ServiceClient

TENANT = "tenant-1"
PRODUCER = {
    "credit": "customers",
    "vehicle": "vehicles",
    "payment": "payments",
    "payout": "payouts",
}
WAY_FORWARD = (
    "credit.reserved.v1",
    "vehicle.reserved.v1",
    "payment.code_generated.v1",
    "payment.processed.v1",
    "vehicle.sold.v1",
)


def headers(
    key: str | None = None, *, tenant: str = TENANT, version: object = None
) -> dict[str, str]:
    given = {"X-Tenant-Id": tenant}
    if key is not None:
        given["Idempotency-Key"] = key
    if version is not None:
        given["If-Match"] = str(version)
    return given


def new_key() -> dict[str, str]:
    return headers(uuid4().hex)


async def draft(orders: ServiceClient, tenant: str = TENANT, **body: object) -> dict[str, Any]:
    answer = await orders.post("/orders", headers=headers(uuid4().hex, tenant=tenant), json=body)
    assert answer.status_code == 201, answer.text
    created: dict[str, Any] = answer.json()
    return created


async def confirm(orders: ServiceClient, order_id: object, version: int = 1) -> httpx.Response:
    return await orders.patch(
        f"/orders/{order_id}/confirm", headers=headers(version=version), json={"totalCents": 5000}
    )


async def buy(orders: ServiceClient, customer: UUID | None = None, *, tenant: str = TENANT) -> UUID:
    """Request a purchase, and return its transaction id."""
    body = {
        "customer_id": str(customer or uuid4()),
        "vehicle_id": str(uuid4()),
        "total_cents": 5_000_000,
    }
    answer = await orders.post("/purchase", headers=headers(uuid4().hex, tenant=tenant), json=body)
    assert answer.status_code == 202, answer.text
    return UUID(answer.json()["transaction_id"])


async def consume(
    orders: ServiceClient,
    event_type: str,
    order_id: UUID | None,
    *,
    sequence: int = 1,
    tenant: str = TENANT,
    expires_at: datetime | None = None,
) -> None:
    """Run the reaction to a peer's event in a transaction, as the subscriber does."""
    await orders.consumes(_received(orders, event_type, order_id, sequence, tenant, expires_at))


async def consume_together(
    orders: ServiceClient, event_type: str, order_ids: Sequence[UUID], tenant: str = TENANT
) -> None:
    """Consume the same event of several purchases in one transaction, as the subscriber does."""
    reaction = orders.service.participant.reactions.by_event[event_type]

    async def work(uow: Any) -> None:
        await uow.prepare_batch([str(order_id) for order_id in order_ids])
        for order_id in order_ids:
            await reaction.handler(uow, _received(orders, event_type, order_id, 1, tenant, None))

    await orders.service.transactions.run(work)


def _received(
    orders: ServiceClient,
    event_type: str,
    order_id: UUID | None,
    sequence: int,
    tenant: str,
    expires_at: datetime | None,
) -> Received[Any]:
    data = {
        "order_id": order_id,
        "reason": event_type.removesuffix(".v1"),
        "seller_id": UUID(int=7),
        "code": "MV-1",
        "expires_at": expires_at or datetime.now(UTC) + timedelta(minutes=30),
    }
    source = PRODUCER[event_type.split(".")[0]]
    return orders.received(
        event_type, order_id, data, tenant=tenant, source=source, sequence=sequence
    )


async def completed(orders: ServiceClient, customer: UUID | None = None) -> UUID:
    order_id = await buy(orders, customer)
    for sequence, event_type in enumerate(WAY_FORWARD, 1):
        await consume(orders, event_type, order_id, sequence=sequence)
    return order_id


async def look(orders: ServiceClient, order_id: UUID) -> dict[str, Any]:
    answer = await orders.get(f"/saga-states/{order_id}", headers=headers())
    assert answer.status_code == 200, answer.text
    state: dict[str, Any] = answer.json()
    return state


async def published(orders: ServiceClient, order_id: object) -> list[str]:
    """Return the types of the events about an order, in the order of the outbox."""
    return await orders.types(order_id)


async def overdue(orders: ServiceClient, order_id: UUID) -> None:
    """Let a purchase's deadline pass, by the database's clock."""
    await orders.execute(
        "UPDATE orders SET due_at = now() - interval '1 second' WHERE id = :id", id=order_id
    )


async def due_in_seconds(orders: ServiceClient, order_id: UUID) -> float | None:
    (row,) = await orders.rows(
        "SELECT extract(epoch FROM due_at - now()) AS due FROM orders WHERE id = :id", id=order_id
    )
    return None if row["due"] is None else float(row["due"])


def problem(answer: httpx.Response, status: int, code: str) -> dict[str, Any]:
    """Check that the answer is this refusal, as problem+json, and return its body."""
    assert answer.status_code == status, answer.text
    assert answer.headers["content-type"] == "application/problem+json"
    body: dict[str, Any] = answer.json()
    assert body["type"].rpartition(":")[2] == code, body
    assert body["status"] == status
    return body
