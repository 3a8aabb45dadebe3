"""The deadline timer claims rows that are due by the database's clock, each by one worker."""

import asyncio
from datetime import UTC, datetime, timedelta

import pytest
from prometheus_client import REGISTRY
from sqlalchemy import text

from libs.runtime.loops import Loop
from tests.fixtures.services import ServiceClient
from tests.integration.orders.market import (
    buy,
    completed,
    consume,
    due_in_seconds,
    headers,
    look,
    overdue,
    published,
)


def timer(orders: ServiceClient) -> Loop:
    (loop,) = orders.service.loops
    return loop


@pytest.mark.parametrize(
    "consumed",
    [
        [],
        ["credit.reserved.v1"],
        ["vehicle.reserved.v1"],
        ["payment.code_generated.v1"],
        ["payment.processed.v1"],
    ],
)
async def test_an_overdue_purchase_is_given_up_and_ends_failed(
    orders: ServiceClient, consumed: list[str]
) -> None:
    order_id = await buy(orders)
    for event_type in consumed:
        await consume(orders, event_type, order_id)
    await timer(orders).work()
    assert await published(orders, order_id) == ["order.confirmed.v1"]
    await overdue(orders, order_id)
    await timer(orders).work()
    await timer(orders).work()
    assert await published(orders, order_id) == [
        "order.confirmed.v1",
        "order.cancellation_requested.v1",
    ]
    await consume(orders, "credit.released.v1", order_id, sequence=9)
    state = await look(orders, order_id)
    assert (state["state"], state["reason"]) == ("FAILED", "deadline_passed")


async def test_a_purchase_the_buyer_cancels_after_its_deadline_ends_cancelled(
    orders: ServiceClient,
) -> None:
    order_id = await buy(orders)
    await overdue(orders, order_id)
    await timer(orders).work()
    answer = await orders.post(f"/purchases/{order_id}/cancel", headers=headers())
    assert answer.status_code == 202
    await consume(orders, "credit.released.v1", order_id)
    assert (await look(orders, order_id))["state"] == "CANCELLED"


async def test_each_state_has_its_deadline_by_the_databases_clock(orders: ServiceClient) -> None:
    order_id = await buy(orders)
    assert await due_in_seconds(orders, order_id) == pytest.approx(3600, abs=30)
    expires = datetime.now(UTC) + timedelta(minutes=30)
    await consume(orders, "payment.code_generated.v1", order_id, expires_at=expires)
    assert await due_in_seconds(orders, order_id) == pytest.approx(45 * 60, abs=30)
    await consume(orders, "payment.processed.v1", order_id, sequence=2)
    assert await due_in_seconds(orders, order_id) == pytest.approx(24 * 3600, abs=30)
    await consume(orders, "vehicle.sold.v1", order_id)
    assert await due_in_seconds(orders, order_id) is None


async def test_a_compensation_that_rests_too_long_raises_an_alert_and_is_not_given_up(
    orders: ServiceClient,
) -> None:
    order_id = await buy(orders)
    await consume(orders, "vehicle.sale_failed.v1", order_id)
    before = REGISTRY.get_sample_value("orders_compensating_too_long_total") or 0
    await timer(orders).work()
    assert REGISTRY.get_sample_value("orders_compensating_too_long_total") == before
    await overdue(orders, order_id)
    await timer(orders).work()
    await timer(orders).work()
    assert REGISTRY.get_sample_value("orders_compensating_too_long_total") == before + 1
    assert await due_in_seconds(orders, order_id) == pytest.approx(900, abs=30)
    assert await published(orders, order_id) == ["order.confirmed.v1"]


async def test_a_purchase_locked_by_somebody_is_passed_over_and_taken_later(
    orders: ServiceClient,
) -> None:
    locked, free = await buy(orders), await buy(orders)
    for order_id in (locked, free):
        await overdue(orders, order_id)
    async with orders.service.transactions.engine.begin() as connection:
        await connection.execute(
            text("SELECT 1 FROM orders WHERE id = :id FOR UPDATE"), {"id": locked}
        )
        async with asyncio.timeout(5):
            await timer(orders).work()
        assert (await look(orders, free))["state"] == "COMPENSATING"
        assert (await look(orders, locked))["state"] == "REQUESTED"
    await timer(orders).work()
    assert (await look(orders, locked))["state"] == "COMPENSATING"


async def test_many_workers_give_each_purchase_up_once(orders: ServiceClient) -> None:
    bought = [await buy(orders) for _ in range(12)]
    for order_id in bought:
        await overdue(orders, order_id)
    await asyncio.gather(*(timer(orders).work() for _ in range(4)))
    for order_id in bought:
        assert (await published(orders, order_id)).count("order.cancellation_requested.v1") == 1


async def test_a_completed_purchase_is_never_given_up(orders: ServiceClient) -> None:
    order_id = await completed(orders)
    await timer(orders).work()
    assert (await look(orders, order_id))["state"] == "COMPLETED"
