"""Orders reacts to the events of its peers, on the real tables."""

import time
from datetime import UTC, datetime, timedelta
from itertools import permutations
from uuid import uuid4

import pytest
from prometheus_client import REGISTRY

from services.orders.domain.errors import PurchaseNotFound
from tests.fixtures.services import ServiceClient
from tests.integration.orders.market import (
    WAY_FORWARD,
    buy,
    completed,
    consume,
    consume_together,
    headers,
    look,
    published,
)


async def test_the_way_forward_ends_completed_with_its_whole_history(
    orders: ServiceClient,
) -> None:
    order_id = await completed(orders)
    state = await look(orders, order_id)
    assert (state["state"], state["payment_code"], state["reason"]) == ("COMPLETED", "MV-1", None)
    assert [(each["service"], each["type"]) for each in state["history"]] == [
        ("orders", "order.confirmed.v1"),
        ("customers", "credit.reserved.v1"),
        ("vehicles", "vehicle.reserved.v1"),
        ("payments", "payment.code_generated.v1"),
        ("payments", "payment.processed.v1"),
        ("vehicles", "vehicle.sold.v1"),
        ("orders", "order.completed.v1"),
    ]
    assert await published(orders, order_id) == ["order.confirmed.v1", "order.completed.v1"]


def measured(outcome: str) -> tuple[float, float]:
    """Return how many purchases had this outcome, and their seconds."""
    labels = {"outcome": outcome}
    count, total = (
        REGISTRY.get_sample_value(f"orders_purchase_seconds_{part}", labels)
        for part in ("count", "sum")
    )
    assert count is not None
    assert total is not None
    return count, total


async def test_each_outcome_is_measured_once_from_the_request_on(orders: ServiceClient) -> None:
    before = {outcome: measured(outcome) for outcome in ("completed", "failed", "cancelled")}
    started = time.monotonic()
    order_id = await completed(orders)
    await consume(orders, WAY_FORWARD[-1], order_id, sequence=9)
    failed = [await buy(orders) for _ in range(2)]
    for each in failed:
        await consume(orders, "payment.failed.v1", each)
    await consume_together(orders, "credit.released.v1", failed)
    took = time.monotonic() - started
    after = {outcome: measured(outcome) for outcome in before}
    assert {each: after[each][0] - before[each][0] for each in after} == {
        "completed": 1,
        "failed": 2,
        "cancelled": 0,
    }
    for outcome, (_, seconds) in after.items():
        assert 0 <= seconds - before[outcome][1] <= 2 * took, outcome


async def test_the_steps_forward_complete_the_purchase_in_any_order(orders: ServiceClient) -> None:
    for steps in list(permutations(WAY_FORWARD))[::7]:
        order_id = await buy(orders)
        for event_type in steps:
            await consume(orders, event_type, order_id)
            await consume(orders, event_type, order_id)
        state = await look(orders, order_id)
        assert (state["state"], state["payment_code"]) == ("COMPLETED", "MV-1"), steps
        assert len(state["history"]) == 7
        assert await published(orders, order_id) == ["order.confirmed.v1", "order.completed.v1"]


@pytest.mark.parametrize(
    ("event_type", "reason"),
    [
        ("vehicle.reservation_failed.v1", "vehicle.reservation_failed"),
        ("vehicle.sale_failed.v1", "vehicle.sale_failed"),
        ("payment.code_generation_failed.v1", "payment.code_generation_failed"),
        ("payment.failed.v1", "payment.failed"),
        ("payment.expired.v1", "payment_expired"),
        ("payment.voided.v1", None),
        ("payment.refunded.v1", None),
        ("vehicle.released.v1", None),
    ],
)
async def test_a_failure_turns_back_and_the_release_of_the_credit_ends_it(
    orders: ServiceClient, event_type: str, reason: str | None
) -> None:
    order_id = await buy(orders)
    await consume(orders, event_type, order_id, sequence=2)
    assert (await look(orders, order_id))["state"] == "COMPENSATING"
    await consume(orders, "vehicle.sold.v1", order_id)
    await consume(orders, "credit.released.v1", order_id)
    await consume(orders, "credit.released.v1", order_id)
    state = await look(orders, order_id)
    assert (state["state"], state["reason"]) == ("FAILED", reason)
    assert await published(orders, order_id) == ["order.confirmed.v1", "order.failed.v1"]


async def test_refused_credit_ends_the_purchase_at_once(orders: ServiceClient) -> None:
    order_id = await buy(orders)
    await consume(orders, "credit.reservation_failed.v1", order_id)
    state = await look(orders, order_id)
    assert (state["state"], state["reason"]) == ("FAILED", "credit.reservation_failed")


async def test_a_failed_refund_asks_for_a_person_until_the_refund_succeeds(
    orders: ServiceClient,
) -> None:
    order_id = await completed(orders)
    await consume(orders, "payment.refund_failed.v1", order_id, sequence=5)
    assert (await look(orders, order_id))["needs_attention"] is True
    await consume(orders, "payment.refunded.v1", order_id, sequence=6)
    await consume(orders, "payment.refund_failed.v1", order_id, sequence=5)
    assert (await look(orders, order_id))["needs_attention"] is False


async def test_a_silent_gateway_asks_for_a_person_until_it_is_known_what_it_did(
    orders: ServiceClient,
) -> None:
    order_id = await buy(orders)
    await consume(orders, "payment.charge_unanswered.v1", order_id, sequence=2)
    assert (await look(orders, order_id))["needs_attention"] is True
    await consume(orders, "payment.processed.v1", order_id, sequence=3)
    assert (await look(orders, order_id))["needs_attention"] is False


async def test_a_silent_bank_asks_for_a_person_until_the_seller_is_paid(
    orders: ServiceClient,
) -> None:
    order_id = await completed(orders)
    assert (await orders.post(f"/orders/{order_id}/close", headers=headers())).is_success
    await consume(orders, "payout.unanswered.v1", order_id, sequence=1)
    assert (await look(orders, order_id))["needs_attention"] is True
    await consume(orders, "payout.completed.v1", order_id, sequence=2)
    assert (await look(orders, order_id))["needs_attention"] is False


async def test_a_failed_payout_asks_for_a_person_until_the_seller_is_paid(
    orders: ServiceClient,
) -> None:
    order_id = await completed(orders)
    assert (await orders.post(f"/orders/{order_id}/close", headers=headers())).is_success
    await consume(orders, "payout.failed.v1", order_id, sequence=1)
    assert (await look(orders, order_id))["needs_attention"] is True
    await consume(orders, "payout.completed.v1", order_id, sequence=2)
    state = await look(orders, order_id)
    assert (state["state"], state["needs_attention"]) == ("CLOSED", False)
    assert [each["type"] for each in state["history"]][-2:] == [
        "payout.failed.v1",
        "payout.completed.v1",
    ]


async def test_a_payout_by_hand_is_of_no_purchase_and_changes_nothing(
    orders: ServiceClient,
) -> None:
    order_id = await completed(orders)
    before = await look(orders, order_id)
    await consume(orders, "payout.completed.v1", None)
    assert await look(orders, order_id) == before


async def test_an_event_of_another_tenant_or_an_unknown_purchase_changes_nothing(
    orders: ServiceClient,
) -> None:
    order_id = await buy(orders)
    with pytest.raises(PurchaseNotFound):
        await consume(orders, "credit.reserved.v1", order_id, tenant="tenant-2")
    with pytest.raises(PurchaseNotFound):
        await consume(orders, "credit.reserved.v1", uuid4())
    assert (await look(orders, order_id))["state"] == "REQUESTED"


async def test_the_code_and_its_expiry_are_shown(orders: ServiceClient) -> None:
    order_id = await buy(orders)
    expires = datetime.now(UTC) + timedelta(minutes=30)
    await consume(orders, "payment.code_generated.v1", order_id, expires_at=expires)
    shown = (await look(orders, order_id))["payment_code_expires_at"]
    assert datetime.fromisoformat(shown) == expires
