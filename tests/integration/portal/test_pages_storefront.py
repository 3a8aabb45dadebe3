"""The storefront shows what is for sale and sells it, and says so when a service does
not answer.
"""

from typing import Any

import httpx
import pytest

from libs.kernel.ids import uuid7
from services.portal.domain.user import User
from tests.fixtures.services import ServiceClient
from tests.integration.portal.conftest import Enter
from tests.integration.portal.pages import Behind, field_of, purchase, submit, vehicle

SEARCH = "vehicles GET /vehicles"


async def test_anybody_sees_what_is_for_sale(portal: ServiceClient, behind: Behind) -> None:
    behind.says(SEARCH, {"items": [vehicle(), vehicle(model="Uno")], "next": None})
    page = await portal.get("/")
    assert page.status_code == 200
    assert "Fiat Strada" in page.text
    assert "Fiat Uno" in page.text
    assert "R$98,900.00" in page.text


async def test_filters_and_order_are_passed_on_and_kept(
    portal: ServiceClient, behind: Behind
) -> None:
    behind.says(SEARCH, {"items": [vehicle()], "next": "cursor+of/vehicles"})
    page = await portal.get(
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
    portal: ServiceClient, behind: Behind, query: str, reason: str
) -> None:
    page = await portal.get(f"/?{query}")
    assert page.status_code == 200
    assert reason in page.text
    assert f'<a href="#{query.partition("=")[0]}">' in page.text
    assert f'value="{query.partition("=")[2]}"' in page.text
    assert behind.calls == []


async def test_a_service_that_is_down_is_named_and_the_filters_are_kept(
    portal: ServiceClient, behind: Behind
) -> None:
    page = await portal.get("/?make=Fiat")
    assert page.status_code == 200
    assert "The service vehicles is not answering" in page.text
    assert 'value="Fiat"' in page.text
    behind.says(SEARCH, {"items": [vehicle()], "next": None})
    assert "not answering" not in (await portal.get("/?make=Fiat")).text


async def test_the_papers_of_a_vehicle_are_not_shown_to_visitors(
    portal: ServiceClient, behind: Behind
) -> None:
    shown = vehicle()
    behind.says(f"vehicles GET /vehicles/{shown['id']}", shown)
    page = await portal.get(f"/vehicles/{shown['id']}")
    assert "Fiat Strada" in page.text
    assert "Sign in to buy" in page.text
    for paper in ("plate", "chassis_number", "renavam"):
        assert shown[paper] not in page.text


@pytest.fixture
async def buyer(enter: Enter) -> User:
    return await enter("buyer", customer_id=uuid7())


def on_sale(behind: Behind, **changed: Any) -> str:
    """Put a vehicle on sale that nobody has bought yet. Returns its page's path."""
    shown = vehicle(**changed)
    behind.says(f"vehicles GET /vehicles/{shown['id']}", shown)
    behind.says("orders GET /purchases", {"items": [], "next": None})
    return f"/vehicles/{shown['id']}"


def has_credit(behind: Behind, buyer: User, **changed: Any) -> None:
    credit = {"credit_limit_cents": 50_000_00, "available_cents": 50_000_00, **changed}
    behind.says(f"customers GET /customers/{buyer.customer_id}", credit)


async def buy(
    portal: ServiceClient, page: httpx.Response, path: str, **typed: str
) -> httpx.Response:
    form = {"after": field_of(page, "after"), "price_cents": field_of(page, "price_cents")}
    return await submit(portal, page, f"{path}/buy", **{**form, **typed})


async def test_buying_from_two_tabs_or_twice_is_one_purchase(
    portal: ServiceClient, behind: Behind, buyer: User
) -> None:
    path, order_id = on_sale(behind), str(uuid7())
    behind.says("orders POST /purchase", {"transaction_id": order_id}, 202)
    tabs = [await portal.get(path) for _ in range(2)]
    for page in (*tabs, tabs[0]):
        answer = await buy(portal, page, path)
        assert (answer.status_code, answer.headers["location"]) == (303, f"/purchases/{order_id}")
    sent = behind.sent("orders POST /purchase")
    assert len({each.headers["Idempotency-Key"] for each in sent}) == 1
    assert behind.bodies("orders POST /purchase")[0] == {
        "customer_id": str(buyer.customer_id),
        "vehicle_id": path.rpartition("/")[2],
        "total_cents": 9890000,
    }


async def test_a_purchase_that_could_not_be_sent_is_sent_again_with_the_same_key(
    portal: ServiceClient, behind: Behind, buyer: User
) -> None:
    path = on_sale(behind)
    page = await portal.get(path)
    again = await buy(portal, page, path)
    assert again.status_code == 503
    assert "The service orders is not answering" in again.text
    assert field_of(again, "after") == field_of(page, "after")
    await buy(portal, again, path)
    first, second = behind.sent("orders POST /purchase")
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]


async def test_the_buyer_of_the_vehicle_is_led_to_that_purchase(
    portal: ServiceClient, behind: Behind, buyer: User
) -> None:
    path = on_sale(behind)
    stale = await portal.get(path)
    mine = purchase(state="AWAITING_PAYMENT", vehicle_id=path.rpartition("/")[2])
    behind.says("orders GET /purchases", {"items": [mine], "next": None})
    behind.says(f"vehicles GET {path}", vehicle(id=mine["vehicle_id"], is_reserved=True))
    page = await portal.get(path)
    assert "You are buying this vehicle" in page.text
    assert f'href="/purchases/{mine["transaction_id"]}"' in page.text
    assert "cannot be bought just now" not in page.text
    answer = await buy(portal, stale, path)
    assert answer.headers["location"] == f"/purchases/{mine['transaction_id']}"
    assert behind.sent("orders POST /purchase") == []
    asked = dict(behind.sent("orders GET /purchases")[0].url.params)
    assert asked == {
        "customer": str(buyer.customer_id), "vehicle": mine["vehicle_id"], "limit": "1"
    }  # fmt: skip


async def test_after_a_purchase_that_failed_the_vehicle_can_be_bought_anew(
    portal: ServiceClient, behind: Behind, buyer: User
) -> None:
    path = on_sale(behind)
    behind.says("orders POST /purchase", {"transaction_id": str(uuid7())}, 202)
    await buy(portal, await portal.get(path), path)
    ended = purchase(state="FAILED")
    behind.says("orders GET /purchases", {"items": [ended], "next": None})
    page = await portal.get(path)
    assert f'href="/purchases/{ended["transaction_id"]}"' in page.text
    await buy(portal, page, path)
    first, second = behind.sent("orders POST /purchase")
    assert first.headers["Idempotency-Key"] != second.headers["Idempotency-Key"]


async def test_a_price_that_has_changed_is_shown_before_anything_is_bought(
    portal: ServiceClient, behind: Behind, buyer: User
) -> None:
    path = on_sale(behind)
    page = await portal.get(path)
    changed = vehicle(id=path.rpartition("/")[2], price_cents=99_900_00)
    behind.says(f"vehicles GET {path}", changed)
    answer = await buy(portal, page, path)
    assert answer.status_code == 409
    assert "The price has changed." in answer.text
    assert "R$99,900.00" in answer.text
    assert behind.sent("orders POST /purchase") == []


async def test_a_price_above_the_free_credit_shows_a_sentence_in_place_of_the_button(
    portal: ServiceClient, behind: Behind, buyer: User
) -> None:
    path = on_sale(behind)
    has_credit(behind, buyer, available_cents=48_900_00)
    page = await portal.get(path)
    assert "Your free credit of R$48,900.00 does not cover this price" in page.text
    assert "Buy for" not in page.text
    assert field_of(page, "wanted") == "100000,00"
    behind.says(f"customers PUT /customers/{buyer.customer_id}/credit-request", {})
    typed = {name: field_of(page, name) for name in ("wanted", "next")}
    answer = await submit(portal, page, "/account/credit", **typed)
    assert (answer.status_code, answer.headers["location"]) == (303, path)
    asked = behind.bodies(f"customers PUT /customers/{buyer.customer_id}/credit-request")
    assert asked == [{"wanted_limit_cents": 100_000_00}]


@pytest.mark.parametrize(
    ("declined_at", "told", "may_ask"),
    [
        (None, "You have asked for a limit of R$100,000.00", False),
        ("2026-11-27T10:00:00Z", "Your request for a limit of R$100,000.00 was declined.", True),
    ],
)
async def test_the_result_of_a_request_for_credit_stands_on_the_vehicle(
    portal: ServiceClient,
    behind: Behind,
    buyer: User,
    declined_at: str | None,
    told: str,
    *,
    may_ask: bool,
) -> None:
    path = on_sale(behind)
    asked = {
        "wanted_limit_cents": 100_000_00,
        "asked_at": "2026-11-27T09:00:00Z",
        "declined_at": declined_at,
    }
    has_credit(behind, buyer, credit_request=asked)
    page = await portal.get(path)
    assert told in page.text
    assert ("Ask for credit" in page.text) == may_ask


async def test_credit_that_covers_the_price_or_cannot_be_read_leaves_the_button(
    portal: ServiceClient, behind: Behind, buyer: User
) -> None:
    path = on_sale(behind)
    assert "Buy for" in (await portal.get(path)).text
    has_credit(behind, buyer, available_cents=98_900_00)
    assert "Buy for" in (await portal.get(path)).text


async def test_a_refused_purchase_says_why(
    portal: ServiceClient, behind: Behind, buyer: User
) -> None:
    path = on_sale(behind)
    behind.refuses(
        "orders POST /purchase", 409, "too-many-open-purchases", "no", params={"most": 20}
    )
    portal.cookies.set("locale", "pt")
    page = await portal.get(path)
    answer = await buy(portal, page, path)
    assert answer.status_code == 409
    assert "Você tem 20 compras em aberto" in answer.text


async def test_makes_are_offered_with_counts_and_what_matches_is_counted(
    portal: ServiceClient, behind: Behind
) -> None:
    behind.says(SEARCH, {"items": [vehicle()], "next": None})
    makes = [{"make": "Fiat", "count": 12}, {"make": "Ford", "count": 3}]
    behind.says("vehicles GET /makes", {"total": 12, "items": makes})
    page = await portal.get("/?make=fiat&q=stra&year_min=2020")
    assert '<option value="Fiat" selected>Fiat (12)</option>' in page.text
    assert '<option value="Ford">Ford (3)</option>' in page.text
    assert "12 vehicles" in page.text
    asked = dict(behind.sent("vehicles GET /makes")[0].url.params)
    assert asked == {"make": "fiat", "q": "stra", "year_min": "2020"}
    unknown = await portal.get("/?make=Gurgel")
    assert '<option value="Gurgel" selected>Gurgel</option>' in unknown.text


async def test_without_counts_the_vehicles_are_shown_all_the_same(
    portal: ServiceClient, behind: Behind
) -> None:
    behind.says(SEARCH, {"items": [vehicle()], "next": None})
    page = await portal.get("/?make=Fiat")
    assert page.status_code == 200
    assert "Fiat Strada" in page.text
    assert '<option value="Fiat" selected>Fiat</option>' in page.text


async def test_a_vehicle_that_is_not_there_is_a_page_too(
    portal: ServiceClient, behind: Behind
) -> None:
    vehicle_id = uuid7()
    behind.refuses(
        f"vehicles GET /vehicles/{vehicle_id}", 404, "vehicle-not-found", "There is no such vehicle"
    )
    for path in (f"/vehicles/{vehicle_id}", "/vehicles/nonsense"):
        page = await portal.get(path)
        assert page.status_code == 404
        assert "There is nothing here" in page.text
        assert page.headers["content-type"].startswith("text/html")
