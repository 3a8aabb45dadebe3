"""The staff finds purchases in a list by what a caller can name, and sees those that are stuck."""

import re
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from libs.kernel.ids import uuid7
from services.portal.domain.user import User
from services.portal.infrastructure.store.postgres import Store
from tests.fixtures.services import ServiceClient
from tests.integration.portal.conftest import AddUser, Enter, execute
from tests.integration.portal.pages import Behind, purchase, submit, vehicle
from tests.integration.portal.purchases import START, WAY_FORWARD, Consumed, consume, envelope

CODE = "VHAJ-14WY-6FN9-WSAN"
HERE = "/all-purchases"


def customer(customer_id: UUID, name: str = "J*** d*** C***") -> dict[str, Any]:
    return {
        "id": str(customer_id),
        "name": name,
        "email": "j***@e***.com",
        "phone": "**********4321",
        "document": "***.596.***-**",
        "credit_limit_cents": 9_000_000,
        "available_cents": 4_000_000,
    }


@pytest.fixture
async def desk(portal: ServiceClient, behind: Behind, enter: Enter) -> ServiceClient:
    await enter("operator")
    for service in ("payments", "payouts"):
        behind.says(f"{service} GET /{service}", {"items": [], "next": None})
    return portal


async def bought(
    transactions: Store,
    behind: Behind,
    *,
    steps: int = 1,
    customer_id: UUID | None = None,
    car: tuple[str, str] = ("Fiat", "Strada"),
    vehicle_id: UUID | None = None,
    ago: timedelta = timedelta(0),
    expires_in: timedelta = timedelta(hours=1),
    then: tuple[Consumed, ...] = (),
) -> UUID:
    """Make a purchase whose first steps were consumed, the last of them `ago`."""
    order_id, customer_id = uuid7(), customer_id or uuid7()
    behind.says(f"customers GET /customers/{customer_id}", customer(customer_id))
    now = datetime.now(UTC)
    more: dict[str, dict[str, object]] = {
        "order.confirmed.v1": {
            "customer_id": customer_id,
            "vehicle_id": vehicle_id or uuid7(),
            "total_cents": 98_900_00,
        },
        "vehicle.reserved.v1": {"make": car[0], "model": car[1]},
        "payment.code_generated.v1": {"expires_at": (now + expires_in).isoformat()},
    }
    consumed = (*WAY_FORWARD[:steps], *then)
    for n, (event_type, service, sequence, data) in enumerate(consumed):
        happened = now - ago - timedelta(seconds=len(consumed) - 1 - n)
        after_ms = int((happened - START) / timedelta(milliseconds=1))
        each = (event_type, service, sequence, {**data, **more.get(event_type, {})})
        await consume(transactions, envelope(order_id, each, after_ms=after_ms))
    return order_id


def listed(page: httpx.Response) -> list[str]:
    assert page.status_code == 200, page.text
    return re.findall(r'<th scope="row"[^>]*><a href="/purchases/([0-9a-f-]{36})"', page.text)


async def search(client: ServiceClient, q: str, **more: str) -> httpx.Response:
    return await submit(client, await client.get(HERE), HERE, q=q, **more)


async def test_all_purchases_are_listed_newest_first_with_their_masked_buyers(
    desk: ServiceClient, behind: Behind, transactions: Store
) -> None:
    orders = [await bought(transactions, behind, steps=steps) for steps in (1, 3, 5)]
    page = await desk.get(HERE)
    assert listed(page) == [str(each) for each in reversed(orders)]
    assert "J*** d*** C***" in page.text
    assert "Fiat Strada" in page.text
    assert "R$98,900.00" in page.text
    for state in ("Credit check", "Payment code", "Sale"):
        assert f">{state}</span>" in page.text


async def test_without_customers_the_list_is_there_all_the_same(
    desk: ServiceClient, behind: Behind, transactions: Store
) -> None:
    order_id = await bought(transactions, behind)
    behind.down("customers")
    page = await desk.get(HERE)
    assert listed(page) == [str(order_id)]
    assert 'role="alert"' in page.text


async def test_a_stuck_purchase_stands_out_and_is_listed_alone(
    desk: ServiceClient, behind: Behind, transactions: Store
) -> None:
    ago = timedelta(minutes=6)
    card_declined: Consumed = ("payment.failed.v1", "payments", 2, {"reason": "card_declined"})
    stuck = [
        await bought(transactions, behind, steps=2, ago=ago),
        await bought(transactions, behind, steps=4, ago=ago, expires_in=-ago),
        await bought(transactions, behind, steps=4, ago=ago, then=(card_declined,)),
        await bought(transactions, behind, steps=8, ago=ago),
    ]
    await bought(transactions, behind, steps=2)
    await bought(transactions, behind, steps=4, ago=ago)  # the buyer of this one may still pay
    await bought(transactions, behind, steps=7, ago=ago)  # and this buyer has yet to come
    await bought(transactions, behind, steps=9, ago=ago)
    page = await desk.get(HERE)
    assert "4 purchases are stuck." in page.text
    assert page.text.count(">stuck</span>") == 4
    alone = await desk.get(f"{HERE}?state=stuck")
    assert listed(alone) == [str(each) for each in reversed(stuck)]


async def test_the_list_is_narrowed_by_state_and_by_the_age_of_the_last_event(
    desk: ServiceClient, behind: Behind, transactions: Store
) -> None:
    long_ago = timedelta(days=2)
    old = await bought(transactions, behind, steps=2, ago=long_ago)
    waits = await bought(transactions, behind, steps=7, ago=long_ago)
    ended = await bought(transactions, behind, steps=9, ago=long_ago)
    young = await bought(transactions, behind, steps=2)
    assert listed(await desk.get(f"{HERE}?state=CREDIT_RESERVED")) == [str(young), str(old)]
    assert listed(await desk.get(f"{HERE}?quiet=1d")) == [str(waits), str(old)]
    assert listed(await desk.get(f"{HERE}?quiet=1d&state=CLOSED")) == [str(ended)]
    assert listed(await desk.get(f"{HERE}?quiet=7d")) == []
    everything = [str(young), str(ended), str(waits), str(old)]
    assert listed(await desk.get(f"{HERE}?state=nonsense&quiet=x&after=y")) == everything


async def test_a_purchase_that_waits_for_a_person_is_marked_and_listed_alone(
    desk: ServiceClient, behind: Behind, transactions: Store
) -> None:
    await bought(transactions, behind, steps=4)
    asking = await bought(transactions, behind, steps=4)
    row = {
        "payment_id": str(uuid7()),
        "order_id": str(asking),
        "state": "PROCESSING",
        "amount_cents": 1,
        "attempts": 3,
        "reason": None,
        "refund_error": None,
        "needs_attention": True,
    }
    behind.says("payments GET /payments", {"items": [row], "next": None})
    assert (await desk.get(HERE)).text.count(">waits for a person</span>") == 1
    assert listed(await desk.get(f"{HERE}?state=attention")) == [str(asking)]


@pytest.mark.parametrize(
    ("typed", "asked", "body"),
    [
        ("joao@example.com", "customers POST /customers/search", {"email": "joao@example.com"}),
        ("390.533.447-05", "customers POST /customers/search", {"document": "390.533.447-05"}),
        ("abc-1d23", "vehicles POST /vehicles/search", {"plate": "abc-1d23"}),
    ],
)
async def test_a_purchase_is_found_by_what_its_owner_compares_through_a_keyed_index(
    desk: ServiceClient,
    behind: Behind,
    transactions: Store,
    typed: str,
    asked: str,
    body: dict[str, str],
) -> None:
    theirs, car = uuid7(), uuid7()
    order_id = await bought(transactions, behind, customer_id=theirs, vehicle_id=car)
    await bought(transactions, behind)
    found = theirs if asked.startswith("customers") else car
    behind.says(asked, {"items": [{"id": str(found)}]})
    page = await search(desk, typed)
    assert listed(page) == [str(order_id)]
    assert behind.bodies(asked) == [body]
    behind.refuses(asked, 422, "invalid-personal-data", "this is none")
    assert "No purchase matches" in (await search(desk, typed)).text
    behind.down(asked.partition(" ")[0])
    assert 'role="alert"' in (await search(desk, typed)).text


async def test_a_payment_code_or_a_number_leads_straight_to_its_purchase(
    desk: ServiceClient, behind: Behind, transactions: Store
) -> None:
    order_id = await bought(transactions, behind, steps=4)
    behind.says(f"payments GET /payment-codes/{CODE}", {"order_id": str(order_id)})
    for typed in (CODE, f" {order_id} "):
        page = await search(desk, typed)
        assert (page.status_code, page.headers["location"]) == (303, f"/purchases/{order_id}")
    behind.refuses(f"payments GET /payment-codes/{CODE}", 404, "payment-code-not-found", "none")
    assert listed(await search(desk, CODE)) == []
    assert listed(await search(desk, str(uuid7()))) == []


async def test_words_find_the_name_of_a_buyer_and_of_a_vehicle(
    desk: ServiceClient, behind: Behind, transactions: Store, add_user: AddUser
) -> None:
    theirs = uuid7()
    await add_user("buyer", email="b@example.com", customer_id=theirs)  # named Buyer Silva
    of_silva = await bought(transactions, behind, steps=3, customer_id=theirs, car=("VW", "Gol"))
    a_strada = await bought(transactions, behind, steps=3)
    assert listed(await search(desk, "silva buyer")) == [str(of_silva)]
    assert listed(await search(desk, "SÍLVA")) == [str(of_silva)]
    assert listed(await search(desk, "strad")) == [str(a_strada)]
    assert listed(await search(desk, "fiat gol")) == []
    assert listed(await search(desk, "100% _ \\ '; --")) == []
    assert listed(await search(desk, "strad", state="PAID")) == []


async def test_names_from_before_become_findable_by_themselves(
    desk: ServiceClient,
    behind: Behind,
    transactions: Store,
    add_user: AddUser,
    portal_database: str,
) -> None:
    theirs = uuid7()
    await add_user("buyer", email="b@example.com", customer_id=theirs)
    order_id = await bought(transactions, behind, customer_id=theirs)
    await execute(portal_database, "UPDATE users SET name_words = NULL")
    assert listed(await search(desk, "silva")) == []
    assert await transactions.run(lambda uow: uow.users.index_names(200)) == 2
    assert listed(await search(desk, "silva")) == [str(order_id)]
    assert await transactions.run(lambda uow: uow.users.index_names(200)) == 0


async def test_more_than_a_page_is_reached_by_a_button_that_keeps_the_search(
    desk: ServiceClient, behind: Behind, transactions: Store
) -> None:
    theirs = uuid7()
    orders = [await bought(transactions, behind, customer_id=theirs) for _ in range(27)]
    first = await search(desk, str(theirs))
    assert listed(first) == [str(each) for each in reversed(orders[2:])]
    after = re.search(r'name="after" value="([^"]+)"', first.text)
    assert after is not None
    assert f'name="q" value="{theirs}"' in first.text
    second = await submit(desk, first, HERE, q=str(theirs), after=after[1])
    assert listed(second) == [str(orders[1]), str(orders[0])]


async def test_another_tenants_purchases_are_not_there(
    desk: ServiceClient, behind: Behind, transactions: Store
) -> None:
    elsewhere = uuid7()
    await consume(transactions, envelope(elsewhere, WAY_FORWARD[0], tenant="elsewhere"))
    assert listed(await desk.get(HERE)) == []
    assert listed(await search(desk, str(elsewhere))) == []


async def test_the_staff_reads_whose_purchase_it_is_and_what_it_waits_for(
    portal: ServiceClient, desk: ServiceClient, behind: Behind, transactions: Store
) -> None:
    theirs = uuid7()
    ago = timedelta(minutes=30)
    order_id = await bought(transactions, behind, steps=2, customer_id=theirs, ago=ago)
    shown = purchase(transaction_id=str(order_id), customer_id=str(theirs), state="CREDIT_RESERVED")
    behind.says(f"orders GET /saga-states/{order_id}", shown)
    behind.says(f"vehicles GET /vehicles/{shown['vehicle_id']}", vehicle(id=shown["vehicle_id"]))
    page = (await portal.get(f"/purchases/{order_id}")).text
    for text in (
        "J*** d*** C***",
        "***.596.***-**",
        "Waiting for the vehicle to be reserved.",
        "The last event was 30 minutes ago.",
        'href="/all-purchases">Purchases</a>',
        "waiting for the buyer",
    ):
        assert text in page, text
    assert "This takes a moment" not in page
    assert "My purchases" not in page
    assert "stuck" in (await portal.get(f"/purchases/{order_id}/panel")).text
    behind.down("orders")
    behind.down("customers")
    alone = (await portal.get(f"/purchases/{order_id}")).text
    assert "Waiting for" in alone


async def test_an_admin_gets_from_a_purchase_to_its_buyers_account(
    portal: ServiceClient, behind: Behind, transactions: Store, add_user: AddUser, enter: Enter
) -> None:
    theirs = uuid7()
    buyer: User = await add_user("buyer", customer_id=theirs)
    await enter("admin")
    order_id = await bought(transactions, behind, steps=2, customer_id=theirs)
    body = {"transaction_id": str(order_id), "customer_id": str(theirs), "state": "CANCELLED"}
    shown = purchase(**body, reason="cancelled_by_buyer", cancelled_by_buyer=True)
    behind.says(f"orders GET /saga-states/{order_id}", shown)
    page = (await portal.get(f"/purchases/{order_id}")).text
    assert f'href="/users/{buyer.id}"' in page
    assert "The buyer gave up." in page
    assert "You gave up." not in page
