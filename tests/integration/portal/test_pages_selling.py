"""A seller's vehicles: listing, changing and withdrawing them."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from libs.kernel.ids import uuid7
from libs.messaging.outbox.unit_of_work import Transactions
from services.portal.domain.timeline import Fact, Kind
from services.portal.domain.user import User
from services.portal.infrastructure.postgres import PortalUnitOfWork
from tests.fixtures.services import ServiceClient
from tests.integration.portal.conftest import AddUser, signed_in
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


@pytest.fixture
async def seller(shop: ServiceClient, add_user: AddUser) -> User:
    user = await add_user("seller")
    await signed_in(shop, user.email)
    return user


def own(behind: Behind, seller: User, **changed: Any) -> str:
    shown = vehicle(**{"seller_id": str(seller.id), **changed})
    behind.says(f"vehicles GET /vehicles/{shown['id']}", shown, ETag='"7"')
    return str(shown["id"])


async def test_a_vehicle_goes_on_the_market_once_however_often_it_is_sent(
    shop: ServiceClient, behind: Behind, seller: User
) -> None:
    behind.says(LIST, {}, 201)
    page = await shop.get("/sell/new")
    for _ in range(2):
        answer = await submit(shop, page, "/sell/new", **TYPED, key=field_of(page, "key"))
        assert (answer.status_code, answer.headers["location"]) == (303, "/sell")
    first, second = behind.sent(LIST)
    assert first.headers["Idempotency-Key"] == second.headers["Idempotency-Key"]
    sent = behind.bodies(LIST)[0]
    assert (sent["price_cents"], sent["year"]) == (25_900_00, 2015)
    assert sent["seller_id"] == str(seller.id)


async def test_what_is_wrong_stands_beside_its_field_and_the_rest_is_kept(
    shop: ServiceClient, behind: Behind, seller: User
) -> None:
    page = await shop.get("/sell/new")
    typed = {**TYPED, "key": str(uuid4())}
    answer = await submit(shop, page, "/sell/new", **{**typed, "year": "old"})
    assert (answer.status_code, error_of(answer, "year")) == (
        422, "Write a whole number, such as 2021."
    )  # fmt: skip
    assert behind.calls == []
    wrong = "The check digit of the RENAVAM is wrong."
    behind.refuses(LIST, 422, "invalid", wrong, field="renavam")
    answer = await submit(shop, page, "/sell/new", **typed)
    assert error_of(answer, "renavam") == wrong
    assert field_of(answer, "price") == "25.900,00"
    assert field_of(answer, "key") == typed["key"]
    behind.down("vehicles")
    answer = await submit(shop, page, "/sell/new", **typed)
    assert answer.status_code == 503
    assert "The service vehicles is not answering" in answer.text
    assert field_of(answer, "chassis_number") == TYPED["chassis_number"]


async def test_a_change_sends_only_what_changed_and_what_it_is_based_on(
    shop: ServiceClient, behind: Behind, seller: User
) -> None:
    vehicle_id = own(behind, seller)
    path = f"/sell/{vehicle_id}"
    behind.says(f"vehicles PATCH /vehicles/{vehicle_id}", {})
    page = await shop.get(path)
    names = ("make", "model", "year", "colour", "plate", "chassis_number", "renavam", "version")
    kept = {name: field_of(page, name) for name in names}
    assert (await submit(shop, page, path, **kept, price="97.000")).status_code == 303
    call = f"vehicles PATCH /vehicles/{vehicle_id}"
    assert behind.bodies(call) == [{"price_cents": 97_000_00}]
    assert behind.sent(call)[0].headers["If-Match"] == '"7"'


async def test_another_sellers_vehicle_cannot_be_opened_changed_or_withdrawn(
    shop: ServiceClient, behind: Behind, seller: User
) -> None:
    foreign = own(behind, seller, seller_id=str(uuid7()))
    page = await shop.get("/sell/new")
    assert (await shop.get(f"/sell/{foreign}")).status_code == 404
    changed = {**TYPED, "version": "1"}
    assert (await submit(shop, page, f"/sell/{foreign}", **changed)).status_code == 404
    assert (await submit(shop, page, f"/sell/{foreign}/withdraw")).status_code == 404


async def test_a_seller_withdraws_unless_a_purchase_holds_the_vehicle(
    shop: ServiceClient, behind: Behind, seller: User
) -> None:
    free, held = own(behind, seller), own(behind, seller, is_reserved=True)
    page = await shop.get("/sell/new")
    for vehicle_id in (free, held):
        behind.says(f"vehicles POST /vehicles/{vehicle_id}/withdraw", {})
        assert (await submit(shop, page, f"/sell/{vehicle_id}/withdraw")).status_code == 303
    assert len(behind.sent(f"vehicles POST /vehicles/{free}/withdraw")) == 1
    assert behind.sent(f"vehicles POST /vehicles/{held}/withdraw") == []
    assert "A purchase holds the vehicle" in (await shop.get("/sell")).text


async def test_a_vehicle_reserved_since_the_page_looked_is_not_withdrawn(
    shop: ServiceClient, behind: Behind, seller: User
) -> None:
    vehicle_id = own(behind, seller)
    withdraw = f"vehicles POST /vehicles/{vehicle_id}/withdraw"
    behind.refuses(withdraw, 409, "vehicle-reserved", "A purchase holds the vehicle.")
    page = await shop.get("/sell/new")
    await submit(shop, page, f"/sell/{vehicle_id}/withdraw")
    assert behind.sent(withdraw)[0].headers["If-Match"] == '"7"'
    assert "It can be withdrawn once that has ended" in (await shop.get("/sell")).text


async def test_the_list_shows_the_sellers_own_vehicles_only(
    shop: ServiceClient,
    behind: Behind,
    seller: User,
    transactions: Transactions[PortalUnitOfWork],
) -> None:
    mine, sold = own(behind, seller), own(behind, seller, model="Uno", is_sold=True)
    other = vehicle(model="Toro")
    behind.says(f"vehicles GET /vehicles/{other['id']}", other)
    for vehicle_id, seller_id in ((mine, seller.id), (sold, seller.id), (other["id"], uuid7())):
        await _listed(transactions, UUID(vehicle_id), seller_id)
    page = await shop.get("/sell")
    assert "Fiat Strada" in page.text
    assert "Fiat Uno" in page.text
    assert "Fiat Toro" not in page.text
    assert "Sold" in page.text


async def test_selling_is_for_sellers(shop: ServiceClient, add_user: AddUser) -> None:
    await add_user("buyer")
    await signed_in(shop, "buyer@example.com")
    for path in ("/sell", "/sell/new"):
        assert (await shop.get(path)).status_code == 403


async def _listed(
    transactions: Transactions[PortalUnitOfWork], vehicle_id: UUID, seller_id: UUID
) -> None:
    async def note(uow: PortalUnitOfWork) -> None:
        uow.timeline.note(
            Fact(
                event_id=uuid7(),
                tenant_id="default",
                kind=Kind.VEHICLE,
                subject_id=vehicle_id,
                service="vehicles",
                type="vehicle.listed.v1",
                sequence=1,
                occurred_at=START,
                details={"seller_id": str(seller_id)},
            )
        )

    await transactions.run(note)
