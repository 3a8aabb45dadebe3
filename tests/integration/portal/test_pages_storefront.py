"""What is for sale, buying it, and what the pages say when a service does not answer."""

from uuid import uuid4

import pytest

from libs.kernel.ids import uuid7
from tests.fixtures.services import ServiceClient
from tests.integration.portal.conftest import AddUser, signed_in
from tests.integration.portal.pages import Behind, submit, vehicle

SEARCH = "vehicles GET /vehicles"


async def test_anybody_sees_what_is_for_sale(shop: ServiceClient, behind: Behind) -> None:
    behind.says(SEARCH, {"items": [vehicle(), vehicle(model="Uno")], "next": None})
    page = await shop.get("/")
    assert page.status_code == 200
    assert "Fiat Strada" in page.text
    assert "Fiat Uno" in page.text
    assert "R$98,900.00" in page.text


async def test_filters_and_order_are_passed_on_and_kept(
    shop: ServiceClient, behind: Behind
) -> None:
    behind.says(SEARCH, {"items": [vehicle()], "next": "cursor+of/vehicles"})
    page = await shop.get(
        "/?make=fiat&year_min=2020&price_max=99.000,50&order=-price", headers={"X": "1"}
    )
    asked = dict(behind.sent(SEARCH)[0].url.params)
    assert asked == {
        "limit": "24", "make": "fiat", "year_min": "2020", "price_max": "9900050", "order": "-price"
    }  # fmt: skip
    assert 'value="99.000,50"' in page.text
    assert "cursor=cursor%2Bof%2Fvehicles" in page.text
    assert "make=fiat&amp;" in page.text


@pytest.mark.parametrize(
    ("query", "reason"),
    [("year_min=new", "Write a whole number"), ("price_max=cheap", "Write an amount")],
)
async def test_a_filter_that_cannot_be_read_is_named_and_kept(
    shop: ServiceClient, behind: Behind, query: str, reason: str
) -> None:
    page = await shop.get(f"/?{query}")
    assert page.status_code == 200
    assert reason in page.text
    assert f'value="{query.partition("=")[2]}"' in page.text
    assert behind.calls == []


async def test_a_service_that_is_down_is_named_and_the_filters_are_kept(
    shop: ServiceClient, behind: Behind
) -> None:
    page = await shop.get("/?make=Fiat")
    assert page.status_code == 200
    assert "The service vehicles is not answering" in page.text
    assert 'value="Fiat"' in page.text
    behind.says(SEARCH, {"items": [vehicle()], "next": None})
    assert "not answering" not in (await shop.get("/?make=Fiat")).text


async def test_the_papers_of_a_vehicle_are_not_shown_to_visitors(
    shop: ServiceClient, behind: Behind
) -> None:
    shown = vehicle()
    behind.says(f"vehicles GET /vehicles/{shown['id']}", shown)
    page = await shop.get(f"/vehicles/{shown['id']}")
    assert "Fiat Strada" in page.text
    assert "Sign in to buy" in page.text
    for paper in ("plate", "chassis_number", "renavam"):
        assert shown[paper] not in page.text


async def test_buying_twice_with_the_same_page_is_one_purchase(
    shop: ServiceClient, behind: Behind, add_user: AddUser
) -> None:
    buyer = await add_user("buyer", customer_id=uuid7())
    await signed_in(shop, buyer.email)
    shown, order_id = vehicle(), str(uuid7())
    path = f"/vehicles/{shown['id']}"
    behind.says(f"vehicles GET {path}", shown)
    behind.says("orders POST /purchase", {"transaction_id": order_id}, 202)
    page = await shop.get(path)
    form = {"key": str(uuid4()), "price_cents": "9890000"}
    for _ in range(2):
        answer = await submit(shop, page, f"{path}/buy", **form)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/purchases/{order_id}")
    first, second = behind.sent("orders POST /purchase")
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    assert behind.bodies("orders POST /purchase")[0] == {
        "customer_id": str(buyer.customer_id),
        "vehicle_id": shown["id"],
        "total_cents": 9890000,
    }


async def test_a_purchase_that_could_not_be_sent_is_sent_again_with_the_same_key(
    shop: ServiceClient, behind: Behind, add_user: AddUser
) -> None:
    await add_user("buyer", customer_id=uuid7())
    await signed_in(shop, "buyer@example.com")
    shown, key = vehicle(), str(uuid4())
    path = f"/vehicles/{shown['id']}"
    behind.says(f"vehicles GET {path}", shown)
    page = await shop.get(path)
    again = await submit(shop, page, f"{path}/buy", key=key, price_cents="9890000")
    assert again.status_code == 503
    assert "The service orders is not answering" in again.text
    assert f'name="key" value="{key}"' in again.text


async def test_a_refused_purchase_says_why(
    shop: ServiceClient, behind: Behind, add_user: AddUser
) -> None:
    await add_user("buyer", customer_id=uuid7())
    await signed_in(shop, "buyer@example.com")
    shown = vehicle()
    path = f"/vehicles/{shown['id']}"
    behind.says(f"vehicles GET {path}", shown)
    behind.refuses(
        "orders POST /purchase", 409, "too-many-open-purchases", "no", params={"most": 20}
    )
    shop.cookies.set("locale", "pt")
    page = await shop.get(path)
    answer = await submit(shop, page, f"{path}/buy", key=str(uuid4()), price_cents="1")
    assert answer.status_code == 409
    assert "Você tem 20 compras em aberto" in answer.text


async def test_a_vehicle_that_is_not_there_is_a_page_too(
    shop: ServiceClient, behind: Behind
) -> None:
    vehicle_id = uuid7()
    behind.refuses(
        f"vehicles GET /vehicles/{vehicle_id}", 404, "vehicle-not-found", "There is no such vehicle"
    )
    for path in (f"/vehicles/{vehicle_id}", "/vehicles/nonsense"):
        page = await shop.get(path)
        assert page.status_code == 404
        assert "There is nothing here" in page.text
        assert page.headers["content-type"].startswith("text/html")
