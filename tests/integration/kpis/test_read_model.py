"""The views are the same for any order of the same events."""

import itertools
from datetime import timedelta
from typing import Any

import asyncpg
import pytest

from libs.kernel.ids import uuid7
from services.kpis.infrastructure.published_views import VIEWS
from tests.integration.kpis.conftest import NOVEMBER, Kpis

OF_ITS_OWN = {"subject", "order_id", "started_at"}


@pytest.mark.parametrize("kind", ["cancelled", "failed"])
@pytest.mark.parametrize("sale_first", [True, False])
async def test_sale_that_is_undone_is_reversed_whichever_event_arrives_first(
    kpis: Kpis, kind: str, sale_first: bool
) -> None:
    stays, order = uuid7(), uuid7()
    await kpis.completed(stays, 100)
    if sale_first:
        await kpis.completed(order, 7)
        assert (await kpis.value("monthly_sales"))["value"] == 107
        await kpis.cancelled(order, 7, kind=kind)
    else:
        await kpis.cancelled(order, 7, kind=kind)
        assert (await kpis.value("monthly_sales"))["value"] == 100
        await kpis.completed(order, 7)

    assert (await kpis.value("monthly_sales"))["value"] == 100
    assert await kpis.asked("SELECT outcome, amount FROM purchases ORDER BY amount") == [
        [kind, 7],
        ["sold", 100],
    ]


async def test_event_consumed_twice_counts_once(kpis: Kpis) -> None:
    order = uuid7()
    for _ in range(2):
        await kpis.completed(order, 5)

    assert (await kpis.value("monthly_sales"))["value"] == 5
    assert await kpis.asked("SELECT COUNT(*) AS n FROM sales") == [[1]]


async def test_events_of_one_purchase_in_any_order_leave_the_same_row(kpis: Kpis) -> None:
    who: dict[str, Any] = {"customer_id": uuid7(), "vehicle_id": uuid7()}
    seller = uuid7()
    later = NOVEMBER + timedelta(days=30)

    async def consume(name: str, order: Any) -> None:
        if name == "completed":
            await kpis.completed(order, 9, seller_id=seller, **who)
        elif name == "cancelled":
            await kpis.cancelled(order, 9, at=later, **who)
        elif name == "closed":
            await kpis.closed(order, 9, seller_id=seller)
        else:
            data = {"order_id": order, "seller_id": seller, "amount_cents": 9}
            await kpis.consumes("payout.completed.v1", order, **data)

    found: dict[str, set[tuple[Any, ...]]] = {"purchases": set(), "payouts": set()}
    for names in itertools.permutations(["completed", "cancelled", "closed", "paid"]):
        order = uuid7()
        for name in names:
            await consume(name, order)
        for each, rows in found.items():
            columns = await kpis.row_of(each, order)
            rows.add(tuple(value for name, value in columns if name not in OF_ITS_OWN))
    assert {each: len(rows) for each, rows in found.items()} == {"purchases": 1, "payouts": 1}


async def test_older_state_of_a_vehicle_never_overwrites_a_newer_one(kpis: Kpis) -> None:
    usual: dict[str, Any] = {"make": "Fiat", "model": "Uno", "year": 2014, "seller_id": uuid7()}
    states: list[tuple[str, int, dict[str, Any]]] = [
        ("listed", 1, {"price_cents": 300}),
        ("updated", 2, {"price_cents": 200, "is_sold": False}),
        ("updated", 3, {"price_cents": 100, "is_sold": False}),
    ]
    for order in itertools.permutations(states):
        vehicle = uuid7()
        for event, sequence, data in order:
            await kpis.consumes(f"vehicle.{event}.v1", vehicle, sequence=sequence, **usual, **data)

    assert await kpis.rows("vehicles_for_sale") == [[6, 600]]


async def test_facts_are_kept_whole_and_cannot_be_changed(kpis: Kpis) -> None:
    order = uuid7()
    await kpis.completed(order, 5, something_new="kept")

    async with kpis.database.connected("app") as connection:
        fact = await connection.fetchrow("SELECT * FROM facts WHERE subject = $1", order)
        assert fact is not None
        assert (fact["type"], fact["tenant_id"]) == ("order.completed.v1", kpis.tenant)
        assert '"something_new": "kept"' in fact["data"]
        for statement in ("UPDATE facts SET type = ''", "DELETE FROM facts"):
            with pytest.raises(asyncpg.InsufficientPrivilegeError, match="only ever added"):
                await connection.execute(statement)


async def test_published_views_are_those_templates_may_name(kpis: Kpis) -> None:
    async with kpis.database.connected("migrator") as connection:
        rows = await connection.fetch(
            "SELECT table_name, column_name FROM information_schema.columns"
            " WHERE table_schema = 'published' ORDER BY ordinal_position"
        )
    found: dict[str, list[str]] = {}
    for row in rows:
        found.setdefault(row["table_name"], []).append(row["column_name"])
    assert found == {view: ["tenant_id", *columns] for view, columns in VIEWS.items()}
