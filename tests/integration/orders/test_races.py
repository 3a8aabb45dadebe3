"""Of two concurrent requests exactly one wins, and nothing is half-written."""

import asyncio
from uuid import uuid4

from tests.fixtures.services import ServiceClient
from tests.integration.orders.market import (
    completed,
    confirm,
    consume,
    draft,
    headers,
    look,
    problem,
    published,
)


async def test_of_two_confirmations_at_once_one_wins_and_the_other_is_stale(
    orders: ServiceClient,
) -> None:
    for _ in range(5):
        order = await draft(orders, customerId=str(uuid4()), vehicleId=str(uuid4()))
        answers = await asyncio.gather(*(confirm(orders, order["id"]) for _ in range(2)))
        won, lost = sorted(answers, key=lambda answer: answer.status_code)
        assert won.status_code == 200
        problem(lost, 412, "stale-version")
        assert await published(orders, order["id"]) == ["order.confirmed.v1"]


async def test_of_cancelling_and_closing_at_once_exactly_one_wins(orders: ServiceClient) -> None:
    for _ in range(5):
        order_id = await completed(orders)
        closing, cancelling = await asyncio.gather(
            orders.post(f"/orders/{order_id}/close", headers=headers()),
            orders.post(f"/purchases/{order_id}/cancel", headers=headers()),
        )
        state = (await look(orders, order_id))["state"]
        events = (await published(orders, order_id))[2:]
        if closing.status_code == 200:
            problem(cancelling, 409, "order-already-closed")
            assert (state, events) == ("CLOSED", ["order.closed.v1"])
        else:
            problem(closing, 409, "purchase-not-completed")
            assert cancelling.status_code == 202
            assert (state, events) == ("COMPENSATING", ["order.cancellation_requested.v1"])


async def test_a_cancellation_and_the_sale_at_once_leave_one_consistent_purchase(
    orders: ServiceClient,
) -> None:
    order = await draft(orders, customerId=str(uuid4()), vehicleId=str(uuid4()))
    await confirm(orders, order["id"])
    await asyncio.gather(
        consume(orders, "vehicle.sold.v1", order["id"]),
        orders.post(f"/purchases/{order['id']}/cancel", headers=headers()),
    )
    state = await look(orders, order["id"])
    assert state["state"] == "COMPENSATING"
    own = [each["sequence"] for each in state["history"] if each["service"] == "orders"]
    assert sorted(own) == list(range(1, len(own) + 1))


async def test_one_buyer_at_once_cannot_pass_the_limit_of_open_purchases(
    orders: ServiceClient,
) -> None:
    customer = str(uuid4())

    async def buy(key: str) -> int:
        answer = await orders.post(
            "/purchase",
            headers=headers(key),
            json={"customer_id": customer, "vehicle_id": str(uuid4()), "total_cents": 1},
        )
        if answer.status_code == 503:  # on a slow machine, the wait for a lock timed out
            return await buy(key)
        return answer.status_code

    codes = await asyncio.gather(*(buy(f"key-{n}") for n in range(8)))
    assert sorted(codes) == [202] * 3 + [409] * 5
    found = await orders.get(f"/purchases?customer={customer}", headers=headers())
    assert len(found.json()["items"]) == 3


async def test_one_key_at_once_makes_one_order(orders: ServiceClient) -> None:
    answers = await asyncio.gather(
        *(orders.post("/orders", headers=headers("same"), content="{}") for _ in range(6))
    )
    assert {answer.status_code for answer in answers} <= {201, 409}
    assert len({answer.json()["id"] for answer in answers if answer.status_code == 201}) == 1
    assert len((await orders.get("/orders", headers=headers())).json()["items"]) == 1
