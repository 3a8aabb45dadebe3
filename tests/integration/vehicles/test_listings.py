"""Listings are ordered by price, filtered, and divided into pages."""

from typing import Any

import httpx
import pytest

from libs.kernel.ids import uuid7
from tests.integration.vehicles.conftest import Vehicles


async def prices(vehicles: Vehicles, query: str = "") -> list[int]:
    answer = await vehicles.client.get(f"/vehicles?{query}", headers=vehicles.admin)
    assert answer.status_code == 200, answer.text
    return [item["price_cents"] for item in answer.json()["items"]]


async def test_vehicles_are_listed_by_price_up_or_down(vehicles: Vehicles) -> None:
    for price in (300, 100, 200):
        await vehicles.listed(price_cents=price)
    assert await prices(vehicles) == [100, 200, 300]
    assert await prices(vehicles, "order=-price") == [300, 200, 100]


async def test_only_vehicles_to_be_had_are_for_sale(vehicles: Vehicles) -> None:
    for_sale, reserved, sold, gone, bought = [
        await vehicles.listed(price_cents=price) for price in (1, 2, 3, 4, 5)
    ]
    await vehicles.consumes_credit_reserved(reserved)
    await vehicles.client.patch(f"/vehicles/{sold['id']}/mark_as_sold", headers=vehicles.admin)
    await vehicles.client.post(f"/vehicles/{gone['id']}/withdraw", headers=vehicles.admin)
    order_id = await vehicles.consumes_credit_reserved(bought)
    await vehicles.consumes("payment.processed.v1", order_id=order_id)
    assert await prices(vehicles) == [for_sale["price_cents"]]
    assert await prices(vehicles, "status=for_sale") == [1]
    assert await prices(vehicles, "status=sold") == [3, 5]


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("make=FIAT", [100, 200]),
        ("make=fiat&model=uno", [100]),
        ("model=Uno", [100]),
        ("make=Fia", []),
        ("q=ali", [200]),
        ("q=FIAT", [100, 200]),
        ("q=uno%20fi", [100]),
        ("q=uno%20ford", []),
        ("q=2015", [200]),
        ("q=lilas", [100]),
        ("q=P%C3%81LI", [200]),
        ("q=%25", []),
        ("q=_", []),
        ("make=fiat&q=o", [100, 200]),
        ("year_min=2015", [200, 300]),
        ("year_max=2015", [100, 200]),
        ("year_min=2015&year_max=2015", [200]),
        ("price_min=200", [200, 300]),
        ("price_max=200", [100, 200]),
        ("price_min=200&price_max=200&order=-price", [200]),
    ],
)
async def test_listing_is_filtered(vehicles: Vehicles, query: str, expected: list[int]) -> None:
    await vehicles.listed(price_cents=100, make="Fiat", model="Uno", year=2010, colour="LILÁS")
    await vehicles.listed(price_cents=200, make="Fiat", model="Palio", year=2015)
    await vehicles.listed(price_cents=300, make="Ford", model="Ka", year=2020)
    assert await prices(vehicles, query) == expected


@pytest.mark.parametrize("order", ["price", "-price"])
async def test_pages_hold_each_vehicle_once_also_where_prices_are_equal(
    vehicles: Vehicles, order: str
) -> None:
    listed = [await vehicles.listed(price_cents=100 + number // 3) for number in range(7)]
    seen: list[dict[str, Any]] = []
    path: str | None = f"/vehicles?order={order}&limit=2"
    while path:
        answer = await vehicles.client.get(path, headers=vehicles.admin)
        seen += answer.json()["items"]
        assert ("next" in answer.links) == (answer.json()["next"] is not None)
        path = answer.links["next"]["url"] if "next" in answer.links else None
    assert {item["id"] for item in seen} == {item["id"] for item in listed}
    shown = [item["price_cents"] for item in seen]
    assert shown == sorted(shown, reverse=order == "-price")
    assert len(seen) == 7


@pytest.mark.parametrize(
    "query",
    [
        "status=withdrawn",
        "order=year",
        "year_min=x",
        "price_min=-1",
        "price_max=99999999999999999999",
        "make=",
        "q=%20",
        "q=" + 61 * "x",
        "model=%00",
    ],
)
async def test_filter_that_cannot_be_is_refused(vehicles: Vehicles, query: str) -> None:
    answer = await vehicles.client.get(f"/vehicles?{query}", headers=vehicles.admin)
    assert answer.status_code == 422
    assert query.partition("=")[0] in answer.text


async def test_cursor_is_good_for_its_own_filters_only(vehicles: Vehicles) -> None:
    for price in (1, 2):
        await vehicles.listed(price_cents=price)
    first = await vehicles.client.get("/vehicles?limit=1", headers=vehicles.admin)
    cursor = first.json()["next"]
    for query in (f"cursor={cursor}x", f"cursor={cursor}&order=-price", "limit=0"):
        answer = await vehicles.client.get(f"/vehicles?{query}", headers=vehicles.admin)
        assert answer.status_code == 400


async def test_makes_are_counted_among_what_the_other_filters_match(vehicles: Vehicles) -> None:
    for make, year in (("Fiat", 2010), ("FIAT", 2015), ("Fiat", 2020), ("Ford", 2020)):
        await vehicles.listed(make=make, year=year)
    sold = await vehicles.listed(make="Kia")
    await vehicles.client.patch(f"/vehicles/{sold['id']}/mark_as_sold", headers=vehicles.admin)

    async def counted(query: str) -> tuple[int, dict[str, int]]:
        answer = await vehicles.client.get(f"/makes?{query}", headers=vehicles.admin)
        assert answer.status_code == 200, answer.text
        items = {each["make"].title(): each["count"] for each in answer.json()["items"]}
        return answer.json()["total"], items

    assert await counted("") == (4, {"Fiat": 3, "Ford": 1})
    assert await counted("make=fiat") == (3, {"Fiat": 3, "Ford": 1})
    assert await counted("year_min=2015&make=Ford") == (1, {"Fiat": 2, "Ford": 1})
    assert await counted("q=nothing") == (0, {})
    assert await counted("status=sold") == (1, {"Kia": 1})


async def test_a_seller_sees_all_own_vehicles_newest_first(vehicles: Vehicles) -> None:
    seller = str(uuid7())
    listed = [await vehicles.listed(seller_id=seller, price_cents=n) for n in (3, 1, 2)]
    await vehicles.listed()
    await vehicles.client.post(f"/vehicles/{listed[0]['id']}/withdraw", headers=vehicles.admin)
    own = vehicles.caller("seller", subject=seller)
    seen: list[str] = []
    path: str | None = f"/sellers/{seller}/vehicles?limit=2"
    while path:
        answer = await vehicles.client.get(path, headers=own)
        seen += [each["id"] for each in answer.json()["items"]]
        assert all("*" not in each["plate"] for each in answer.json()["items"])
        path = answer.links["next"]["url"] if "next" in answer.links else None
    assert seen == [each["id"] for each in reversed(listed)]
    nothing = str(uuid7())
    newcomer = vehicles.caller("seller", subject=nothing)
    mine = await vehicles.client.get(f"/sellers/{nothing}/vehicles", headers=newcomer)
    assert mine.json() == {"items": [], "next": None}
    for other in (newcomer, vehicles.caller("admin", tenant="another")):
        refused = await vehicles.client.get(f"/sellers/{seller}/vehicles", headers=other)
        assert (refused.status_code, refused.json()["type"][-16:]) == (404, "seller-not-found")


async def test_staff_finds_a_vehicle_by_its_plate_in_either_spelling_sold_ones_too(
    vehicles: Vehicles,
) -> None:
    sold = await vehicles.listed(plate="XYZ1234")
    await vehicles.client.patch(f"/vehicles/{sold['id']}/mark_as_sold", headers=vehicles.admin)
    again = await vehicles.listed(plate="XYZ1C34")
    await vehicles.listed(plate="XYZ1C35")
    operator = vehicles.caller("operator")

    async def found(plate: str, headers: dict[str, str]) -> httpx.Response:
        return await vehicles.client.post(
            "/vehicles/search", json={"plate": plate}, headers=headers
        )

    for typed in ("xyz-1234", " XYZ1C34 "):
        answer = (await found(typed, operator)).json()
        assert [each["id"] for each in answer["items"]] == [again["id"], sold["id"]]
        assert answer["items"][0]["plate"] == "*****34"
    assert (await found("XYZ1234", vehicles.caller("operator", tenant="else"))).json()[
        "items"
    ] == []
    assert (await found("no plate", operator)).status_code == 422
    assert (await found("XYZ1234", vehicles.caller("seller"))).status_code == 403
