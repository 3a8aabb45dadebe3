"""`/purchase`, `/saga-states` and `/purchases` show a buyer the purchase, and refuse
what breaks a rule.
"""

import json
from datetime import datetime
from uuid import UUID, uuid4

import pytest
from pydantic import ValidationError

from services.orders.infrastructure.consumers import CodeGenerated
from tests.fixtures.services import ServiceClient
from tests.integration.orders.market import (
    WAY_FORWARD,
    buy,
    completed,
    consume,
    headers,
    look,
    new_key,
    problem,
    published,
)


async def cancel(orders: ServiceClient, order_id: UUID) -> int:
    answer = await orders.post(f"/purchases/{order_id}/cancel", headers=headers())
    return answer.status_code


async def test_a_purchase_is_accepted_and_can_be_watched(orders: ServiceClient) -> None:
    body = {"customer_id": str(uuid4()), "vehicle_id": str(uuid4()), "total_cents": 5_000_000}
    answer = await orders.post("/purchase", headers={"Idempotency-Key": "k"}, json=body)
    assert answer.status_code == 202
    accepted = answer.json()
    assert accepted["state"] == "REQUESTED"
    assert {name: accepted[name] for name in body} == body
    assert answer.headers["location"] == f"/saga-states/{accepted['transaction_id']}"
    watched = await orders.get(answer.headers["location"])
    (first,) = watched.json()["history"]
    assert first["time"] == accepted["requested_at"]
    assert (first["type"], first["service"], first["sequence"]) == (
        "order.confirmed.v1",
        "orders",
        1,
    )
    again = await orders.post("/purchase", headers={"Idempotency-Key": "k"}, json=body)
    assert (again.status_code, again.content) == (202, answer.content)
    assert await published(orders, accepted["transaction_id"]) == ["order.confirmed.v1"]


async def test_a_purchase_is_an_order_of_the_same_tenant(orders: ServiceClient) -> None:
    order_id = await buy(orders)
    order = (await orders.get(f"/orders/{order_id}", headers=headers())).json()
    assert (order["status"], order["version"], order["state"]) == ("confirmed", 2, "REQUESTED")
    problem(await orders.get(f"/saga-states/{order_id}"), 404, "purchase-not-found")


async def test_a_malformed_purchase_is_refused_by_field_and_nothing_begins(
    orders: ServiceClient,
) -> None:
    good = {"customer_id": str(uuid4()), "vehicle_id": str(uuid4()), "total_cents": 1}
    for name, value in [
        ("customer_id", None),
        ("vehicle_id", "x"),
        ("total_cents", 0),
        ("total_cents", "1"),
        ("discount", 1),
    ]:
        answer = await orders.post("/purchase", headers=new_key(), json={**good, name: value})
        (error,) = problem(answer, 422, "invalid-input")["errors"]
        assert error["field"] == name
    problem(await orders.post("/purchase", headers=headers(), json=good), 400, "bad-request")
    problem(await orders.post("/purchase", headers=new_key(), content="x"), 400, "malformed-json")
    assert (await orders.get("/purchases", headers=headers())).json()["items"] == []


async def test_a_customer_has_only_so_many_open_purchases(orders: ServiceClient) -> None:
    customer = uuid4()
    bought = [await buy(orders, customer) for _ in range(3)]
    body = {"customer_id": str(customer), "vehicle_id": str(uuid4()), "total_cents": 1}
    answer = await orders.post("/purchase", headers=headers("next"), json=body)
    problem(answer, 409, "too-many-open-purchases")
    created = await orders.post(
        "/orders",
        headers=new_key(),
        json={"customerId": str(customer), "vehicleId": str(uuid4())},
    )
    confirming = await orders.patch(
        f"/orders/{created.json()['id']}/confirm",
        headers=headers(version=1),
        json={"totalCents": 1},
    )
    problem(confirming, 409, "too-many-open-purchases")
    await buy(orders, customer, tenant="tenant-2")
    await consume(orders, "credit.reservation_failed.v1", bought[0])
    answer = await orders.post("/purchase", headers=headers("next"), json=body)
    assert answer.status_code == 202


async def test_purchases_are_found_by_customer_vehicle_and_state(orders: ServiceClient) -> None:
    customer = uuid4()
    failed, open_one = await buy(orders, customer), await buy(orders, customer)
    other = await buy(orders)
    await orders.post("/orders", headers=new_key(), content="{}")
    await consume(orders, "credit.reservation_failed.v1", failed)

    async def found(query: str) -> list[str]:
        answer = await orders.get(f"/purchases?{query}", headers=headers())
        return [each["transaction_id"] for each in answer.json()["items"]]

    assert sorted(await found("")) == sorted(map(str, (failed, open_one, other)))
    assert sorted(await found(f"customer={customer}")) == sorted(map(str, (failed, open_one)))
    assert await found(f"customer={customer}&state=FAILED") == [str(failed)]
    assert await found("state=PAID") == []
    vehicle = (await look(orders, open_one))["vehicle_id"]
    assert await found(f"customer={customer}&vehicle={vehicle}") == [str(open_one)]
    assert await found(f"customer={customer}&vehicle={uuid4()}") == []
    answer = await orders.get("/purchases?state=LOST", headers=headers())
    problem(answer, 422, "invalid-input")


async def test_pages_of_purchases_keep_their_filter(orders: ServiceClient) -> None:
    customer = uuid4()
    bought = [str(await buy(orders, customer)) for _ in range(3)]
    await buy(orders)
    seen: list[str] = []
    path: str | None = f"/purchases?customer={customer}&limit=1"
    while path is not None:
        answer = await orders.get(path, headers=headers())
        seen += [each["transaction_id"] for each in answer.json()["items"]]
        path = answer.links.get("next", {}).get("url")
    assert sorted(seen) == sorted(bought)


@pytest.mark.parametrize("consumed", range(len(WAY_FORWARD) + 1))
async def test_the_buyer_gives_up_at_any_step_until_closed(
    orders: ServiceClient, consumed: int
) -> None:
    order_id = await buy(orders)
    for sequence, event_type in enumerate(WAY_FORWARD[:consumed], 1):
        await consume(orders, event_type, order_id, sequence=sequence)
    assert await cancel(orders, order_id) == 202
    assert await cancel(orders, order_id) == 202
    state = await look(orders, order_id)
    assert (state["state"], state["reason"]) == ("COMPENSATING", "cancelled_by_buyer")
    assert (await published(orders, order_id)).count("order.cancellation_requested.v1") == 1
    await consume(orders, "credit.released.v1", order_id, sequence=9)
    assert (await look(orders, order_id))["state"] == "CANCELLED"
    assert await cancel(orders, order_id) == 202
    assert (await published(orders, order_id))[-1] == "order.cancelled.v1"


async def test_cancelling_is_refused_once_closed_or_failed(orders: ServiceClient) -> None:
    closed = await completed(orders)
    await orders.post(f"/orders/{closed}/close", headers=headers())
    answer = await orders.post(f"/purchases/{closed}/cancel", headers=headers())
    problem(answer, 409, "order-already-closed")
    failed = await buy(orders)
    await consume(orders, "credit.reservation_failed.v1", failed)
    answer = await orders.post(f"/purchases/{failed}/cancel", headers=headers())
    problem(answer, 409, "purchase-already-failed")


async def test_an_id_of_no_purchase_or_of_another_tenant_is_not_found(
    orders: ServiceClient,
) -> None:
    plain = (await orders.post("/orders", headers=new_key(), content="{}")).json()["id"]
    foreign = await buy(orders, tenant="tenant-2")
    for order_id, code in [(plain, "purchase-not-found"), (foreign, "order-not-found")]:
        answer = await orders.post(f"/purchases/{order_id}/cancel", headers=headers())
        problem(answer, 404, code)
        answer = await orders.get(f"/saga-states/{order_id}", headers=headers())
        problem(answer, 404, "purchase-not-found")
    assert (await orders.get("/purchases", headers=headers())).json()["items"] == []
    assert await published(orders, foreign) == ["order.confirmed.v1"]


async def test_a_purchase_that_an_older_release_gave_a_time_without_a_zone_can_be_watched(
    orders: ServiceClient,
) -> None:
    order_id = await buy(orders)
    history = [["credit.reserved.v1", "customers", 1, "2026-11-26T16:59:00"]]
    await orders.execute(
        "UPDATE orders SET history = history || CAST(:more AS jsonb) WHERE id = :id",
        more=json.dumps(history),
        id=order_id,
    )
    facts = (await look(orders, order_id))["history"]
    assert {fact["type"] for fact in facts} == {"order.confirmed.v1", "credit.reserved.v1"}
    assert all(datetime.fromisoformat(fact["time"]).tzinfo for fact in facts)


def test_a_code_that_expires_at_a_time_without_a_zone_is_not_readable() -> None:
    data = {"order_id": str(uuid4()), "code": "MV-1", "expires_at": "2026-11-26T16:59:00"}
    with pytest.raises(ValidationError, match="timezone"):
        CodeGenerated.model_validate(data)
