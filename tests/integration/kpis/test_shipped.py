"""Each shipped KPI is computed over events that went through the consumers."""

import random
from datetime import UTC, datetime, timedelta
from typing import Any

from libs.kernel.ids import time_of, uuid7
from tests.integration.kpis.conftest import NOVEMBER, Kpis

OCTOBER = NOVEMBER - timedelta(days=31)


async def test_monthly_sales_are_the_sum_of_the_months_amounts(kpis: Kpis) -> None:
    await kpis.completed(uuid7(), 4_500_000)
    await kpis.completed(uuid7(), 3_000_050)
    await kpis.completed(uuid7(), 1_000_000, at=OCTOBER)

    assert (await kpis.value("monthly_sales"))["value"] == 7_500_050
    assert (await kpis.value("monthly_sales", "2026-10"))["value"] == 1_000_000
    assert (await kpis.value("monthly_sales", "2026-01"))["value"] is None


async def test_month_of_a_sale_is_the_one_of_the_business(kpis: Kpis) -> None:
    """Midnight of São Paulo is three o'clock in UTC."""
    await kpis.completed(uuid7(), 1, at=datetime(2026, 12, 1, 2, 59, 59, tzinfo=UTC))
    await kpis.completed(uuid7(), 2, at=datetime(2026, 12, 1, 3, tzinfo=UTC))

    assert (await kpis.value("monthly_sales"))["value"] == 1
    assert (await kpis.value("monthly_sales", "2026-12"))["value"] == 2


async def test_sales_per_month_need_no_month(kpis: Kpis) -> None:
    for at, cents in ((NOVEMBER, 5), (NOVEMBER, 6), (OCTOBER, 7)):
        await kpis.completed(uuid7(), cents, at=at)

    found = await kpis.value("sales_per_month", month=None)

    assert found["columns"] == ["month", "sales", "amount_cents"]
    assert found["rows"] == [["2026-10", 1, 7], ["2026-11", 2, 11]]
    assert found["value"] is None


async def test_conversion_is_the_part_of_ended_purchases_that_are_sales(kpis: Kpis) -> None:
    assert (await kpis.value("conversion"))["value"] is None

    for _ in range(2):
        await kpis.completed(uuid7())
    await kpis.cancelled(uuid7())

    assert (await kpis.value("conversion"))["value"] == 66.7


async def test_median_time_to_purchase_counts_from_the_order_to_its_sale(kpis: Kpis) -> None:
    month = f"{datetime.now(UTC):%Y-%m}"
    for seconds in (30, 50, 700):
        order = uuid7()
        await kpis.completed(order, at=time_of(order) + timedelta(seconds=seconds))

    assert (await kpis.value("median_time_to_purchase", month))["value"] == 50


async def test_cancellations_are_counted_by_what_ended_them_and_why(kpis: Kpis) -> None:
    for _ in range(2):
        await kpis.cancelled(uuid7())
    await kpis.cancelled(uuid7(), kind="failed", reason="payment_expired")
    await kpis.cancelled(uuid7(), kind="failed", reason=None)
    await kpis.completed(uuid7())

    assert await kpis.rows("cancellations_by_reason") == [
        ["cancelled", "cancelled_by_buyer", 2],
        ["failed", "payment_expired", 1],
        ["failed", None, 1],
    ]


async def test_payouts_are_due_from_closing_until_they_are_completed(kpis: Kpis) -> None:
    paid, failed, due = uuid7(), uuid7(), uuid7()
    for order, cents in ((paid, 10), (failed, 200), (due, 3000)):
        await kpis.closed(order, cents)
    await kpis.closed(uuid7(), 40_000, seller_id=None)  # this order has no purchase
    for order, event in ((paid, "completed"), (failed, "failed")):
        await kpis.consumes(
            f"payout.{event}.v1", order, order_id=order, seller_id=uuid7(), amount_cents=200
        )

    assert await kpis.rows("payouts_due") == [["due", 1, 3000], ["failed", 1, 200]]


async def test_payout_that_failed_and_then_went_through_is_paid_in_any_order(kpis: Kpis) -> None:
    order = uuid7()
    events = [("failed", 1), ("completed", 2)]
    random.shuffle(events)
    for event, sequence in events:
        await kpis.consumes(
            f"payout.{event}.v1",
            order,
            sequence=sequence,
            order_id=order,
            seller_id=None,
            amount_cents=1,
        )

    assert await kpis.rows("payouts_due") == []


async def test_vehicles_for_sale_are_listed_and_neither_sold_nor_withdrawn(kpis: Kpis) -> None:
    vehicle: dict[str, Any] = {"make": "Fiat", "model": "Uno", "year": 2014, "seller_id": uuid7()}
    there, sold, withdrawn, by_hand = (uuid7() for _ in range(4))
    for listed in (there, sold, withdrawn, by_hand):
        await kpis.consumes("vehicle.listed.v1", listed, price_cents=100, **vehicle)
    await kpis.consumes(
        "vehicle.updated.v1", there, sequence=2, price_cents=90, is_sold=False, **vehicle
    )
    await kpis.consumes(
        "vehicle.updated.v1", by_hand, sequence=2, price_cents=100, is_sold=True, **vehicle
    )
    await kpis.consumes("vehicle.withdrawn.v1", withdrawn, sequence=2)
    order = uuid7()
    await kpis.completed(order, vehicle_id=sold)
    assert await kpis.rows("vehicles_for_sale") == [[1, 90]]

    await kpis.cancelled(order)

    assert await kpis.rows("vehicles_for_sale") == [[2, 190]]


async def test_new_customers_are_those_who_registered_in_the_month(kpis: Kpis) -> None:
    customer = uuid7()
    await kpis.consumes("customer.registered.v1", customer)
    await kpis.consumes("customer.updated.v1", customer, sequence=2, changed=["name"])
    await kpis.consumes("customer.erased.v1", customer, sequence=3)
    await kpis.consumes("customer.registered.v1", uuid7(), at=OCTOBER)

    assert (await kpis.value("new_customers"))["value"] == 1
    assert await kpis.asked("SELECT is_erased FROM customers WHERE month = :month") == [[True]]
