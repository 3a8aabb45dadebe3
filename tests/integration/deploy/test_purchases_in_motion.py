"""The checker skips purchases that moved a moment ago, unless an option tells it not to."""

import pytest

from deploy.checker.invariants import check
from tests.integration.deploy.purchases import identifier
from tests.integration.deploy.rules import AT_REST, broken
from tests.integration.deploy.spoilt import PARTICIPANTS, Spoilt

JUST_MOVED = {
    "order just made": "UPDATE orders SET created_at = now() WHERE id = '{awaiting}'",
    "event just consumed": "UPDATE orders SET history = jsonb_build_array(jsonb_build_array("
    "'payment.processed.v1', 'payments', 2, now())) WHERE id = '{awaiting}'",
    "event just published": "INSERT INTO outbox_archive (seq, id, subject, type, body, created_at)"
    " VALUES (1000, '{nobody}', '{awaiting}', 'order.cancellation_requested.v1', '', now())",
    "event just written": "INSERT INTO outbox (id, subject, type, body)"
    " VALUES ('{nobody}', '{awaiting}', 'order.cancellation_requested.v1', '')",
}


@pytest.mark.parametrize("moved", JUST_MOVED.values(), ids=JUST_MOVED)
async def test_purchase_that_moved_just_now_is_passed_over_until_told_otherwise(
    spoilt: Spoilt, moved: str
) -> None:
    await spoilt.spoil("orders", "UPDATE orders SET state = 'PAID' WHERE id = '{awaiting}'")
    await spoilt.spoil("orders", moved)

    lenient = await check(spoilt.databases, PARTICIPANTS, grace_seconds=600)
    strict = await check(spoilt.databases, PARTICIPANTS, grace_seconds=0)

    assert broken(lenient) == {}
    assert lenient.passed_over == 1
    assert f"order {identifier('awaiting')} rests in PAID" in broken(strict)[AT_REST]
    assert strict.passed_over == 0


async def test_purchase_that_moves_while_it_is_read_is_passed_over_until_told_otherwise(
    spoilt: Spoilt,
) -> None:
    await spoilt.spoil(
        "orders",
        "UPDATE orders SET state = 'PAID', created_at = now() + interval '1 minute'"
        " WHERE id = '{awaiting}'",
    )

    assert broken(await check(spoilt.databases, PARTICIPANTS)) == {}
    assert broken(await check(spoilt.databases, PARTICIPANTS, grace_seconds=0)).keys() == {AT_REST}


async def test_record_whose_order_was_made_just_now_is_passed_over(spoilt: Spoilt) -> None:
    await spoilt.spoil(
        "vehicles",
        "INSERT INTO reservations (order_id, tenant_id, state, sequence)"
        " VALUES ('{nobody}', 'default', 'RELEASED', 1);"
        "INSERT INTO outbox_archive (seq, id, subject, type, body, created_at)"
        " VALUES (1000, '{nobody}', '{nobody}', 'vehicle.released.v1', '', now())",
    )

    report = await check(spoilt.databases, PARTICIPANTS, grace_seconds=600)

    assert broken(report) == {}
    assert report.passed_over == 0
