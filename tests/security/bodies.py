"""Makes the request bodies for each endpoint, about one tenant's objects, and lists' contents."""

import uuid
from collections.abc import Awaitable, Callable
from typing import Any

from services.portal.domain.user import User
from tests.security.things import PRICE, Things, new_customer, new_vehicle

Body = Callable[[Things, User | None], Awaitable[dict[str, Any]]]


async def _order(things: Things, who: User | None) -> dict[str, Any]:
    if who is not None and who.roles == {"operator"}:
        return {}  # for no particular customer
    return {"customerId": str(things.customer_id), "vehicleId": await things.id("vehicle_id")}


async def _purchase(things: Things, _: User | None) -> dict[str, Any]:
    vehicle_id = await things.id("vehicle_id")
    customer_id = str(things.customer_id)
    return {"customer_id": customer_id, "vehicle_id": vehicle_id, "total_cents": PRICE}


async def _payment_code(things: Things, _: User | None) -> dict[str, Any]:
    await things.id("code")
    return {"order_id": await things.id("order_id")}


async def _payment(things: Things, _: User | None) -> dict[str, Any]:
    return {"code": await things.id("code"), "method": "tok_approve"}


def always(**body: Any) -> Body:
    async def same(_: Things, __: User | None) -> dict[str, Any]:
        return body

    return same


async def _customer(_: Things, __: User | None) -> dict[str, Any]:
    return new_customer()


async def _vehicle(things: Things, _: User | None) -> dict[str, Any]:
    return new_vehicle(things.seller.id)


async def _payout(_: Things, __: User | None) -> dict[str, Any]:
    return {"external_id": uuid.uuid4().hex, "amount_cents": 1}


async def _kpi(_: Things, __: User | None) -> dict[str, Any]:
    return {"id": f"kpi_{uuid.uuid4().hex}", "name": "n", "sql_template": "SELECT 1 AS one"}


BODIES: dict[str, Body] = {
    "POST /orders": _order,
    "PATCH /orders/{order_id}/confirm": always(totalCents=PRICE),
    "POST /purchase": _purchase,
    "POST /customers": _customer,
    "PUT /users/{user_id}/customer": _customer,
    "POST /customers/search": always(email="somebody@example.com"),
    "POST /vehicles/search": always(plate="ABC1D23"),
    "PATCH /customers/{customer_id}": always(name="Maria Lima"),
    "PUT /customers/{customer_id}/credit-limit": always(limit_cents=PRICE),
    "PUT /customers/{customer_id}/credit-request": always(wanted_limit_cents=3 * PRICE),
    "POST /vehicles": _vehicle,
    "POST /vehicles/checks": always(vehicles=[{}]),
    "PATCH /vehicles/{vehicle_id}": always(colour="azul"),
    "POST /payment-codes": _payment_code,
    "POST /payments": _payment,
    "POST /payments/{payment_id}/charge/settle": always(outcome="not_charged", note="n"),
    "POST /payouts/{external_id}/settle": always(outcome="not_paid", note="n"),
    "POST /payments/{payment_id}/refund/settle": always(reference="r", note="n"),
    "POST /payouts": _payout,
    "POST /kpis": _kpi,
    "PATCH /kpis/{kpi_id}": always(name="m"),
    "POST /kpis/trial": always(sql_template="SELECT COUNT(*) AS n FROM sales"),
    "POST /outbox/given-up/{event_id}/send-again": always(),
}
NAMED_IN_BODY = frozenset({"POST /payment-codes", "POST /payments"})
"""The body of these names a person's object, as a path does."""
LISTED = {
    "GET /orders": "order_id",
    "GET /purchases": "transaction_id",
    "GET /customers": "customer_id",
    "GET /credit-requests": "asking_id",
    "GET /vehicles": "vehicle_id",
    "GET /payments": "payment_id",
    "GET /payouts": "external_id",
    "GET /kpis": "kpi_id",
    "GET /kpis/active": "kpi_id",
    "GET /api/submissions": "submission_id",
    "GET /api/audits": "submission_id",
    "GET /outbox/given-up": "event_id",
}
"""The things that each list contains."""
