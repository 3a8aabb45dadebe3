"""The timeline of a purchase is the same for any order of consuming, and only shown to who may see
it.
"""

import asyncio
import random
from uuid import UUID

import pytest

from libs.kernel.ids import uuid7
from services.portal.domain.timeline import PurchaseState, Sought
from services.portal.infrastructure.store.postgres import Store
from tests.fixtures.services import ServiceClient
from tests.integration.portal.conftest import AddUser, Enter, execute, signed_in
from tests.integration.portal.purchases import (
    CUSTOMER,
    WAY_FORWARD,
    Consumed,
    buy,
    consume,
    envelope,
)


@pytest.fixture
async def operator(portal: ServiceClient, enter: Enter) -> ServiceClient:
    await enter("operator")
    return portal


def path(order_id: UUID) -> str:
    return f"/api/purchases/{order_id}/timeline"


async def test_each_event_stands_in_it_with_its_service_and_milliseconds(
    operator: ServiceClient, transactions: Store
) -> None:
    order_id = await buy(transactions)
    answer = (await operator.get(path(order_id))).json()
    assert (answer["state"], answer["is_finished"]) == ("CLOSED", True)
    assert [(each["type"], each["service"], each["ms"]) for each in answer["events"]] == [
        (event_type, service, 100 * n) for n, (event_type, service, *_) in enumerate(WAY_FORWARD)
    ]
    assert {each["direction"] for each in answer["events"]} == {"forward"}


async def test_the_payment_code_is_not_shown(operator: ServiceClient, transactions: Store) -> None:
    order_id = await buy(transactions)
    answer = await operator.get(path(order_id))
    assert "MV-SECRET" not in answer.text
    assert answer.json()["events"][3]["details"]["amount_cents"] == 500


async def test_consuming_in_any_order_and_any_batches_makes_the_same_timeline(
    operator: ServiceClient, transactions: Store
) -> None:
    for seed in range(8):
        order_id, shuffled = uuid7(), random.Random(seed)
        consumed = [
            envelope(order_id, each, after_ms=100 * n) for n, each in enumerate(WAY_FORWARD)
        ]
        shuffled.shuffle(consumed)
        cut = shuffled.randrange(1, len(consumed))
        await consume(transactions, *consumed[:cut])
        await consume(transactions, *consumed[cut:])
        answer = (await operator.get(path(order_id))).json()
        assert (answer["state"], answer["is_finished"]) == ("CLOSED", True)
        assert [each["type"] for each in answer["events"]] == [each[0] for each in WAY_FORWARD]
        assert [each["ms"] for each in answer["events"]] == [100 * n for n in range(9)]


async def test_an_older_event_never_overrules_a_newer_one(transactions: Store) -> None:
    order_id = uuid7()
    cancelled: Consumed = ("order.cancelled.v1", "orders", 4, {})
    given_up: Consumed = ("order.cancellation_requested.v1", "orders", 3, {"reason": "buyer"})
    for consumed in (cancelled, given_up, WAY_FORWARD[0]):
        await consume(transactions, envelope(order_id, consumed))
    purchase = await transactions.run(lambda uow: uow.timeline.find_purchase("default", order_id))
    assert purchase is not None
    assert (purchase.state, purchase.customer_id) == (PurchaseState.CANCELLED, CUSTOMER)


async def test_positions_have_no_gaps_where_many_write_one_purchase_at_once(
    transactions: Store, portal_database: str
) -> None:
    order_ids = [uuid7(), uuid7()]
    events = [envelope(each, consumed) for consumed in WAY_FORWARD for each in order_ids]
    random.Random(1).shuffle(events)
    await asyncio.gather(
        *(consume(transactions, *events[n : n + 3]) for n in range(0, len(events), 3))
    )
    for order_id in order_ids:
        rows = await execute(
            portal_database,
            "SELECT position FROM timeline WHERE subject_id = $1 ORDER BY position",
            order_id,
        )
        assert [row["position"] for row in rows] == list(range(1, 10))


async def test_compensations_are_marked_in_the_timeline(
    operator: ServiceClient, transactions: Store
) -> None:
    order_id = await buy(transactions, steps=3)
    back: tuple[Consumed, ...] = (
        ("payment.code_generation_failed.v1", "payments", 1, {"reason": "too_large"}),
        ("vehicle.released.v1", "vehicles", 2, {"reason": "payment"}),
        ("credit.released.v1", "customers", 2, {}),
        ("order.failed.v1", "orders", 2, {"reason": "too_large"}),
    )
    for n, consumed in enumerate(back, start=3):
        await consume(transactions, envelope(order_id, consumed, after_ms=100 * n))
    answer = (await operator.get(path(order_id))).json()
    assert (answer["state"], answer["is_finished"]) == ("FAILED", True)
    assert [each["direction"] for each in answer["events"]] == ["forward"] * 3 + ["back"] * 4


async def test_a_foreign_tenants_purchase_is_not_found(
    operator: ServiceClient, transactions: Store
) -> None:
    order_id = await buy(transactions, tenant="elsewhere")
    assert (await operator.get(path(order_id))).status_code == 404
    assert (await operator.get(path(uuid7()))).status_code == 404


async def test_a_buyer_sees_the_own_purchases_only_and_a_seller_none(
    portal: ServiceClient, add_user: AddUser, transactions: Store
) -> None:
    order_id = await buy(transactions)
    await add_user("buyer", customer_id=CUSTOMER)
    await add_user("buyer", email="other@example.com", customer_id=uuid7())
    await add_user("buyer", email="new@example.com")
    await add_user("seller")
    for email, status in (
        ("buyer@example.com", 200),
        ("other@example.com", 404),
        ("new@example.com", 404),
        ("seller@example.com", 403),
    ):
        await signed_in(portal, email)
        assert (await portal.get(path(order_id))).status_code == status, email
    portal.cookies.clear()
    assert (await portal.get(path(order_id))).status_code == 401


async def test_a_payout_by_hand_is_no_purchase(transactions: Store) -> None:
    payout_id = uuid7()
    event = envelope(payout_id, ("payout.completed.v1", "payouts", 1, {"amount_cents": 5}))
    await consume(transactions, event | {"data": {"order_id": None, "amount_cents": 5}})
    found = await transactions.run(lambda uow: uow.timeline.search("default", Sought(), None, 10))
    assert found == []


async def test_an_erased_customers_user_is_gone_with_the_sessions(
    portal: ServiceClient, add_user: AddUser, transactions: Store, portal_database: str
) -> None:
    customer_id = uuid7()
    await add_user("buyer", customer_id=customer_id)
    await add_user("operator")
    await signed_in(portal, "buyer@example.com")
    erased = envelope(customer_id, ("customer.erased.v1", "customers", 2, {}))
    erased["data"] = {"customer_id": str(customer_id)}
    for _ in range(2):
        await consume(transactions, erased | {"id": str(uuid7())})
    assert (await portal.get("/api/sessions")).status_code == 401
    left = await execute(portal_database, "SELECT roles FROM users")
    assert [row["roles"] for row in left] == [["operator"]]
    assert await transactions.run(lambda uow: uow.users.customer_is_erased(customer_id))
