"""A seller lists, changes and withdraws vehicles on the pages."""

import re
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.kernel.ids import uuid7
from services.portal.domain.sale import RESERVED
from services.portal.domain.timeline import Fact, Kind
from services.portal.domain.user import User
from services.portal.infrastructure.store.postgres import PostgresPortalUnitOfWork, Store
from services.portal.infrastructure.web.pages.sales import PAGE_SIZE
from tests.fixtures.services import ServiceClient
from tests.integration.portal.conftest import Enter
from tests.integration.portal.pages import Behind, error_of, field_of, submit, vehicle
from tests.integration.portal.purchases import START

LIST = "vehicles POST /vehicles"
TYPED = {
    "make": "Fiat",
    "model": "Uno",
    "year": "2015",
    "colour": "azul",
    "price": "25.900,00",
    "plate": "ABC1D23",
    "chassis_number": "9BWZZZ377VT004251",
    "renavam": "12345678900",
}


def own(behind: Behind, seller: User, **changed: Any) -> str:
    shown = vehicle(**{"seller_id": str(seller.id), **changed})
    behind.says(f"vehicles GET /vehicles/{shown['id']}", shown, ETag='"7"')
    return str(shown["id"])


async def test_a_vehicle_goes_on_the_market_once_however_often_it_is_sent(
    portal: ServiceClient, behind: Behind, seller: User
) -> None:
    behind.says(LIST, {}, 201)
    page = await portal.get("/sell/new")
    for _ in range(2):
        answer = await submit(portal, page, "/sell/new", **TYPED, key=field_of(page, "key"))
        assert (answer.status_code, answer.headers["location"]) == (303, "/sell")
    first, second = behind.sent(LIST)
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    sent = behind.bodies(LIST)[0]
    assert (sent["price_cents"], sent["year"]) == (25_900_00, 2015)
    assert sent["seller_id"] == str(seller.id)


async def test_all_that_is_wrong_stands_beside_its_field_at_once_and_the_rest_is_kept(
    portal: ServiceClient, behind: Behind, seller: User
) -> None:
    """One answer has what the portal cannot read, and what the service refuses."""
    wrong = "The check digit of the RENAVAM is wrong."
    errors = [
        {"field": "year", "code": "malformed", "message": "null"},
        {"field": "renavam", "code": "wrong-renavam-check-digit", "message": "in English"},
    ]
    behind.refuses(LIST, 422, "invalid-input", "Some of it.", errors=errors)
    page = await portal.get("/sell/new")
    typed = {**TYPED, "key": str(uuid4()), "year": "old", "price": "cheap", "make": ""}
    answer = await submit(portal, page, "/sell/new", **typed)
    assert answer.status_code == 422
    assert error_of(answer, "make") == "This field is required."
    assert error_of(answer, "year") == "Write a whole number, such as 2021."
    assert error_of(answer, "price") == "Write an amount, such as 45900 or 45.900,00."
    assert error_of(answer, "renavam") == wrong
    assert field_of(answer, "price") == "cheap"
    assert field_of(answer, "key") == typed["key"]
    (sent,) = behind.bodies(LIST)
    assert (sent["year"], sent["price_cents"], sent["make"]) == (None, None, None)


async def test_input_is_kept_while_the_service_is_away(
    portal: ServiceClient, behind: Behind, seller: User
) -> None:
    page = await portal.get("/sell/new")
    typed = {**TYPED, "key": str(uuid4())}
    answer = await submit(portal, page, "/sell/new", **typed)
    assert answer.status_code == 503
    assert "not answering" in answer.text
    assert field_of(answer, "chassis_number") == TYPED["chassis_number"]
    answer = await submit(portal, page, "/sell/new", **{**typed, "year": "old"})
    assert (answer.status_code, error_of(answer, "year")[:5]) == (422, "Write")


async def test_an_unusual_price_is_asked_about_and_taken_once_confirmed(
    portal: ServiceClient, behind: Behind, seller: User
) -> None:
    behind.says(LIST, {}, 201)
    page = await portal.get("/sell/new")
    typed = {**TYPED, "price": "459,00", "key": str(uuid4())}
    asked = await submit(portal, page, "/sell/new", **typed)
    assert asked.status_code == 422
    assert "Yes, the price is R$459.00" in asked.text
    assert behind.calls == []
    for price, status in (("460,00", 422), ("459,00", 303)):
        answer = await submit(
            portal, page, "/sell/new", **{**typed, "price": price}, price_is="45900"
        )
        assert answer.status_code == status, price


async def test_a_change_sends_only_what_changed_and_what_it_is_based_on(
    portal: ServiceClient, behind: Behind, seller: User
) -> None:
    vehicle_id = own(behind, seller)
    path = f"/sell/{vehicle_id}"
    behind.says(f"vehicles PATCH /vehicles/{vehicle_id}", {})
    page = await portal.get(path)
    names = ("make", "model", "year", "colour", "plate", "chassis_number", "renavam", "version")
    kept = {name: field_of(page, name) for name in names}
    assert (await submit(portal, page, path, **kept, price="97.000")).status_code == 303
    call = f"vehicles PATCH /vehicles/{vehicle_id}"
    assert behind.bodies(call) == [{"price_cents": 97_000_00}]
    assert behind.sent(call)[0].headers["If-Match"] == '"7"'


async def test_a_version_conflict_shows_both_and_the_next_save_wins(
    portal: ServiceClient, behind: Behind, seller: User
) -> None:
    vehicle_id = own(behind, seller, colour="preto", price_cents=95_000_00)
    call, path = f"vehicles PATCH /vehicles/{vehicle_id}", f"/sell/{vehicle_id}"
    behind.refuses(call, 412, "stale-version", "The vehicle is at version 7.")
    page = await portal.get(path)
    names = ("make", "model", "year", "plate", "chassis_number", "renavam")
    typed = {name: field_of(page, name) for name in names} | {"colour": "azul", "price": "97.000"}
    answer = await submit(portal, page, path, **typed, version='"3"')
    assert answer.status_code == 412
    assert "The vehicle was changed in the meantime." in answer.text
    for said in ("Saved now: preto", "Saved now: 95000,00"):
        assert said in answer.text
    assert "Saved now: Fiat" not in answer.text
    assert (field_of(answer, "colour"), field_of(answer, "price")) == ("azul", "97.000")
    behind.says(call, {})
    again = await submit(portal, answer, path, **typed, version=field_of(answer, "version"))
    assert again.status_code == 303
    assert behind.sent(call)[-1].headers["If-Match"] == '"7"'
    assert behind.bodies(call)[-1] == {"colour": "azul", "price_cents": 97_000_00}


async def test_another_sellers_vehicle_cannot_be_opened_changed_or_withdrawn(
    portal: ServiceClient, behind: Behind, seller: User
) -> None:
    foreign = own(behind, seller, seller_id=str(uuid7()))
    page = await portal.get("/sell/new")
    assert (await portal.get(f"/sell/{foreign}")).status_code == 404
    changed = {**TYPED, "version": "1"}
    assert (await submit(portal, page, f"/sell/{foreign}", **changed)).status_code == 404
    assert (await submit(portal, page, f"/sell/{foreign}/withdraw")).status_code == 404


async def test_a_seller_withdraws_unless_a_purchase_holds_the_vehicle(
    portal: ServiceClient, behind: Behind, seller: User
) -> None:
    free, held = own(behind, seller), own(behind, seller, is_reserved=True)
    page = await portal.get("/sell/new")
    for vehicle_id in (free, held):
        behind.says(f"vehicles POST /vehicles/{vehicle_id}/withdraw", {})
        assert (await submit(portal, page, f"/sell/{vehicle_id}/withdraw")).status_code == 303
    assert len(behind.sent(f"vehicles POST /vehicles/{free}/withdraw")) == 1
    assert behind.sent(f"vehicles POST /vehicles/{held}/withdraw") == []
    assert "A purchase holds the vehicle" in (await portal.get("/sell")).text


async def test_a_vehicle_reserved_since_the_page_looked_is_not_withdrawn(
    portal: ServiceClient, behind: Behind, seller: User
) -> None:
    vehicle_id = own(behind, seller)
    withdraw = f"vehicles POST /vehicles/{vehicle_id}/withdraw"
    behind.refuses(withdraw, 409, "vehicle-reserved", "A purchase holds the vehicle.")
    page = await portal.get("/sell/new")
    await submit(portal, page, f"/sell/{vehicle_id}/withdraw")
    assert behind.sent(withdraw)[0].headers["If-Match"] == '"7"'
    assert "It can be withdrawn once that has ended" in (await portal.get("/sell")).text


async def test_the_list_is_what_the_service_has_now_of_the_seller(
    portal: ServiceClient, behind: Behind, seller: User
) -> None:
    items = [vehicle(seller_id=str(seller.id)), vehicle(model="Uno", is_sold=True)]
    path = f"vehicles GET /sellers/{seller.id}/vehicles"
    behind.says(path, {"items": items, "next": "a b"})
    page = await portal.get("/sell")
    assert all(said in page.text for said in ("Fiat Strada", "Fiat Uno", "Sold"))
    assert 'href="/sell?after=a+b"' in page.text
    behind.says(path, {"items": [], "next": None})
    assert "Nothing on the market yet" in (await portal.get("/sell?after=a+b")).text
    assert behind.sent(path)[-1].url.params["cursor"] == "a b"
    behind.refuses(path, 404, "seller-not-found", "There is no such seller.")
    assert "Nothing on the market yet" in (await portal.get("/sell")).text
    behind.down("vehicles")
    page = await portal.get("/sell")
    assert "not answering" in page.text
    assert "Nothing on the market yet" not in page.text


SOLD_ON_THE_WAY = (
    ("vehicle.reserved.v1", "Reserved, not paid yet", "Once the buyer has picked"),
    ("payment.processed.v1", "Sold, not picked up yet", "Once the buyer has picked"),
    ("order.closed.v1", "Picked up", "On its way"),
    ("payout.failed.v1", "Picked up", "Refused by the bank"),
    ("payout.completed.v1", "Picked up", "Paid</span>"),
)


async def test_a_seller_follows_a_sale_to_its_payout(
    portal: ServiceClient, behind: Behind, seller: User, transactions: Store
) -> None:
    order_id, vehicle_id = uuid7(), own(behind, seller, is_sold=True)
    assert "Nothing sold yet" in (await portal.get("/sales")).text
    for sequence, (event, state, payout) in enumerate(SOLD_ON_THE_WAY, start=1):
        await consumed(transactions, order_id, event, sequence, seller.id, vehicle_id)
        for path in ("/sales", f"/sell/{vehicle_id}"):
            page = (await portal.get(path)).text
            assert state in page, (event, path)
            assert payout in page, (event, path)
            assert "R$98,900.00" in page, (event, path)
    assert f'href="/sell/{vehicle_id}"' in (await portal.get("/sales")).text


@pytest.mark.parametrize("end", ["order.failed.v1", "order.cancellation_requested.v1"])
async def test_a_purchase_that_is_undone_is_no_sale(
    portal: ServiceClient, behind: Behind, seller: User, transactions: Store, end: str
) -> None:
    order_id, vehicle_id = uuid7(), own(behind, seller)
    for sequence, event in enumerate(("vehicle.reserved.v1", end), start=1):
        await consumed(transactions, order_id, event, sequence, seller.id, vehicle_id)
    assert "Nothing sold yet" in (await portal.get("/sales")).text


async def test_sales_are_a_sellers_own_and_come_page_by_page(
    portal: ServiceClient, behind: Behind, seller: User, transactions: Store
) -> None:
    mine = [own(behind, seller) for _ in range(PAGE_SIZE + 1)]
    foreign = own(behind, seller)
    # Entries of one millisecond are in any order.
    for order_id, vehicle_id in zip(sorted(uuid7() for _ in mine), mine, strict=True):
        await consumed(transactions, order_id, RESERVED, 1, seller.id, vehicle_id)
    await consumed(transactions, uuid7(), RESERVED, 1, uuid7(), foreign)
    first = (await portal.get("/sales")).text
    (older,) = re.findall(r'href="(/sales\?after=[^"]+)"', first)
    shown = re.findall(r'href="/sell/([^"]+)"', first + (await portal.get(older)).text)
    assert shown == mine[::-1]


async def test_selling_is_for_sellers(portal: ServiceClient, enter: Enter) -> None:
    await enter("buyer")
    for path in ("/sell", "/sell/new", "/sales"):
        assert (await portal.get(path)).status_code == 403


async def consumed(
    transactions: Store, order_id: UUID, event: str, sequence: int, seller_id: UUID, vehicle_id: str
) -> None:
    details = {"vehicle_id": vehicle_id, "seller_id": str(seller_id)}

    async def note(uow: PostgresPortalUnitOfWork) -> None:
        uow.timeline.note(
            Fact(
                event_id=uuid7(),
                tenant_id="default",
                kind=Kind.PURCHASE,
                subject_id=order_id,
                service="any",
                type=event,
                sequence=sequence,
                occurred_at=START + timedelta(seconds=sequence),
                details={**details, "make": "Fiat", "model": "Uno", "price_cents": 98_900_00},
            )
        )

    await transactions.run(note)
