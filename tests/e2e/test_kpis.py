"""The KPIs are correct after purchases in the running system."""

from datetime import UTC, datetime
from typing import Any

from deploy.demo.market import Market
from deploy.demo.scenarios import PRICE, bought_and_picked_up, cancelled_after_paying
from tests.e2e.quiet import invariants_hold
from tests.e2e.system import System


async def figure(market: Market, kpi_id: str) -> Any:
    month = f"{datetime.now(UTC):%Y-%m}"
    path = f"/kpis/{kpi_id}/value?month={month}"
    return (await market.send("kpis", "GET", path, expect=200)).json()


async def cancellations(market: Market) -> int:
    rows = (await figure(market, "cancellations_by_reason"))["rows"]
    return sum(count for outcome, _, count in rows if outcome == "cancelled")


async def test_a_sale_counts_and_one_that_was_undone_does_not(
    system: System, market: Market
) -> None:
    await invariants_hold(system)
    sales = (await figure(market, "monthly_sales"))["value"] or 0
    came_back = await cancellations(market)

    await bought_and_picked_up(market)
    await cancelled_after_paying(market)
    await invariants_hold(system)

    assert (await figure(market, "monthly_sales"))["value"] == sales + PRICE
    assert await cancellations(market) == came_back + 1
    active = await market.send("kpis", "GET", "/kpis/active", expect=200)
    for kpi in active.json()["items"]:
        assert (await figure(market, kpi["id"]))["columns"], kpi["id"]
