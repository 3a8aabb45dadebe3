"""The checker holds on consistent records, and says what it could not check."""

from collections.abc import Mapping

import pytest

from deploy.checker.invariants import ARRIVED, check
from deploy.checker.records import STATEMENTS
from deploy.checker.rules import RULES
from tests.integration.deploy.purchases import PRICE, PURCHASES, identifier
from tests.integration.deploy.rules import (
    PUBLISHED,
    broken,
)
from tests.integration.deploy.spoilt import PARTICIPANTS, Spoilt

ALLOWED = {
    "vehicle sold by hand": (
        "vehicles",
        "UPDATE vehicles SET is_sold = true WHERE id = '{refused_vehicle}'",
    ),
    "refund settled by hand": (
        "payments",
        "UPDATE payments SET settled_by = 'ana' WHERE order_id = '{cancelled}';"
        "DELETE FROM sandbox_operations WHERE order_id = '{cancelled}' AND kind = 'refund'",
    ),
    "charge whose answer was lost": (
        "payments",
        "UPDATE payments SET state = 'PROCESSING', next_attempt = now()"
        " WHERE order_id = '{awaiting}';"
        "INSERT INTO sandbox_operations VALUES"
        f" ('charge', 'charge', '{{awaiting}}', {PRICE}, 'tok_lost_answer', 'approved', 1)",
    ),
    "refund made whose answer was lost": (
        "payments",
        "INSERT INTO sandbox_operations VALUES"
        f" ('refund', 'refund', '{{refund_failed}}', {PRICE}, 'tok_approve', 'approved', 1)",
    ),
    "payout paid whose answer was lost": (
        "payouts",
        "UPDATE sandbox_transfers SET paid = true WHERE key = '{payout_failed}';"
        "UPDATE payouts SET status = 'PAID', sequence = 2 WHERE order_id = '{payout_failed}'",
    ),
    "payout asked for by hand": (
        "payouts",
        "INSERT INTO payouts (payout_id, tenant_id, external_id, amount_cents, status, attempts,"
        " version, sequence) VALUES ('{nobody}', 'default', 'bonus-1', 1, 'PAID', 1, 1, 1);"
        "INSERT INTO sandbox_transfers VALUES ('bonus', 'bonus-1', NULL, 1, true, 1)",
    ),
    "event older than inboxes remember": (
        "vehicles",
        "DELETE FROM inbox WHERE consumer = 'vehicles.on.payment.processed.v1'",
        "payments",
        "UPDATE outbox_archive SET created_at = created_at - interval '15 days'"
        " WHERE type = 'payment.processed.v1'",
    ),
    "charge left unanswered by the gateway, compensating": (
        "payments",
        "UPDATE payments SET state = 'PROCESSING', needs_attention = true"
        " WHERE order_id = '{refund_failed}';"
        "DELETE FROM sandbox_operations WHERE order_id = '{refund_failed}'",
    ),
    "charge settled by hand": (
        "payments",
        "UPDATE payments SET charge_settled_by = 'ana', charge_reference = 'gw-7'"
        " WHERE order_id = '{closed}';"
        "DELETE FROM sandbox_operations WHERE order_id = '{closed}'",
    ),
    "money taken after all for what was settled as not charged": (
        "payments",
        "UPDATE payments SET state = 'REFUNDING', charge_settled_by = 'ana',"
        " charge_reference = 'gw-7', next_attempt = now() WHERE order_id = '{declined}'",
    ),
    "payout left unanswered by the bank": (
        "payouts",
        "UPDATE payouts SET status = 'PENDING', needs_attention = true, next_attempt = now()"
        " WHERE order_id = '{payout_failed}'",
    ),
    "payout settled by hand": (
        "payouts",
        "UPDATE payouts SET status = 'PAID', settled_by = 'ana', bank_reference = 'ted-7'"
        " WHERE order_id = '{payout_failed}'",
    ),
    "order without a purchase": (
        "orders",
        "INSERT INTO orders (id, tenant_id, status, version, created_at)"
        " VALUES ('{nobody}', 'default', 'draft', 1, now() - interval '1 hour')",
    ),
}


async def test_consistent_records_hold_and_what_failed_is_noted(
    filled: Mapping[str, str],
) -> None:
    report = await check(filled, PARTICIPANTS)

    assert broken(report) == {}
    assert report.hold
    assert (report.purchases, report.passed_over) == (len(PURCHASES), 0)
    assert report.notes == [
        f"refund of order {identifier('refund_failed')} failed and is open",
        f"payout of order {identifier('payout_failed')} failed and needs a person",
    ]
    assert {each.rule for each in report.invariants} == {*RULES, PUBLISHED, ARRIVED}


@pytest.mark.parametrize("steps", ALLOWED.values(), ids=ALLOWED)
async def test_a_state_that_is_allowed_stays_green(spoilt: Spoilt, steps: tuple[str, ...]) -> None:
    for service, statements in zip(steps[::2], steps[1::2], strict=True):
        await spoilt.spoil(service, statements)

    assert broken(await check(spoilt.databases, PARTICIPANTS)) == {}


async def test_a_case_that_waits_for_a_person_outside_is_listed(spoilt: Spoilt) -> None:
    for name in (
        "charge left unanswered by the gateway, compensating",
        "payout left unanswered by the bank",
    ):
        await spoilt.spoil(*ALLOWED[name])

    assert set((await check(spoilt.databases, PARTICIPANTS)).notes) == {
        f"charge of order {identifier('refund_failed')} is unanswered and needs a person",
        f"payout of order {identifier('payout_failed')} is unanswered and needs a person",
    }


async def test_without_archives_the_report_says_what_could_not_be_checked(spoilt: Spoilt) -> None:
    for service in spoilt.databases:
        await spoilt.spoil(service, "TRUNCATE outbox_archive")

    report = await check(spoilt.databases, PARTICIPANTS)

    assert broken(report) == {}
    assert ARRIVED not in [each.rule for each in report.invariants]
    assert report.notes[2:] == [
        f"{service} archives no events: whether its own reached everyone could not be checked"
        for service in STATEMENTS
    ]


async def test_one_archive_that_is_missing_does_not_hide_an_event_lost_by_another(
    spoilt: Spoilt,
) -> None:
    await spoilt.spoil("orders", "TRUNCATE outbox_archive")
    await spoilt.spoil(
        "payments", "DELETE FROM inbox WHERE consumer = 'payments.on.vehicle.reserved.v1'"
    )

    report = await check(spoilt.databases, PARTICIPANTS)

    assert broken(report).keys() == {ARRIVED}
    assert [note.split()[0] for note in report.notes[2:]] == ["orders"]
