"""The checker holds on consistent records, and turns red where a rule is broken by hand."""

from collections.abc import AsyncIterator, Mapping
from typing import NamedTuple

import pytest
import pytest_asyncio

from deploy.local.invariants import ARRIVED, check
from deploy.local.report import Report
from tests.fixtures.servers import PostgresServer
from tests.integration.local.purchases import PRICE, PURCHASES, identifier
from tests.integration.local.spoilt import IDS, PARTICIPANTS, Spoilt, filled_databases

CREDIT = "credit adds up for every customer"
VEHICLE = "a vehicle is held or sold once"
NOTHING_HELD = "what failed or was cancelled holds nothing"
MONEY = "money is kept once or given back once"
SELLERS = "every seller is paid once"
PUBLISHED = "every event was published"
AT_REST = "no purchase rests half-way"
RECORDS = "every record belongs to a purchase of its tenant"


class Break(NamedTuple):
    """One rule broken by hand. `sentence` is what the report says of it."""

    name: str
    service: str
    statements: str
    sentence: str
    rules: set[str]


BREAKS = (
    Break(
        "available raised",
        "customers",
        "ALTER TABLE customers DROP CONSTRAINT ck_customers_balance;"
        "UPDATE customers SET available_cents = available_cents + 1 WHERE id = '{closed_customer}'",
        "customer {closed_customer}: available, reserved and consumed are not the limit",
        {CREDIT},
    ),
    Break(
        "available below zero",
        "customers",
        "ALTER TABLE customers DROP CONSTRAINT ck_customers_credit;"
        "UPDATE customers SET available_cents = -1, limit_cents = consumed_cents - 1"
        " WHERE id = '{closed_customer}'",
        "customer {closed_customer}: available is below zero",
        {CREDIT},
    ),
    Break(
        "more reserved than recorded",
        "customers",
        "UPDATE customers SET reserved_cents = reserved_cents + 1,"
        " available_cents = available_cents - 1 WHERE id = '{awaiting_customer}'",
        "customer {awaiting_customer}: RESERVED is not the sum of its records",
        {CREDIT},
    ),
    Break(
        "less consumed than recorded",
        "customers",
        "UPDATE customers SET consumed_cents = consumed_cents - 1,"
        " available_cents = available_cents + 1 WHERE id = '{closed_customer}'",
        "customer {closed_customer}: CONSUMED is not the sum of its records",
        {CREDIT},
    ),
    Break(
        "credit held of an unknown customer",
        "customers",
        "DELETE FROM customers WHERE id = '{awaiting_customer}'",
        "order {awaiting}: there is no customer {awaiting_customer}",
        {CREDIT},
    ),
    Break(
        "credit of a completed purchase only reserved",
        "customers",
        "UPDATE credit_reservations SET state = 'RESERVED' WHERE order_id = '{completed}';"
        "UPDATE customers SET reserved_cents = consumed_cents, consumed_cents = 0"
        " WHERE id = '{completed_customer}'",
        "order {completed} is COMPLETED, its credit is RESERVED",
        {CREDIT},
    ),
    Break(
        "credit of a cancelled purchase still reserved",
        "customers",
        "UPDATE credit_reservations SET state = 'RESERVED' WHERE order_id = '{cancelled}';"
        f"UPDATE customers SET reserved_cents = {PRICE}, available_cents = {PRICE}"
        " WHERE id = '{cancelled_customer}'",
        "order {cancelled} is CANCELLED, its credit is RESERVED",
        {NOTHING_HELD},
    ),
    Break(
        "one vehicle held by two purchases",
        "vehicles",
        "DROP INDEX reservations_one_holds_a_vehicle;"
        "UPDATE reservations SET vehicle_id = '{closed_vehicle}' WHERE order_id = '{completed}'",
        "vehicle {closed_vehicle}: held by 2 purchases",
        {VEHICLE},
    ),
    Break(
        "reserved vehicle not marked",
        "vehicles",
        "UPDATE vehicles SET is_reserved = false WHERE id = '{awaiting_vehicle}'",
        "vehicle {awaiting_vehicle}: is_reserved differs from its records",
        {VEHICLE},
    ),
    Break(
        "released vehicle still marked",
        "vehicles",
        "UPDATE vehicles SET is_reserved = true WHERE id = '{declined_vehicle}'",
        "vehicle {declined_vehicle}: is_reserved differs from its records",
        {VEHICLE},
    ),
    Break(
        "sold vehicle not marked",
        "vehicles",
        "UPDATE vehicles SET is_sold = false WHERE id = '{closed_vehicle}'",
        "vehicle {closed_vehicle}: sold by a purchase, but not marked as sold",
        {VEHICLE},
    ),
    Break(
        "held vehicle unknown",
        "vehicles",
        "DELETE FROM vehicles WHERE id = '{closed_vehicle}'",
        "order {closed}: there is no vehicle {closed_vehicle}",
        {VEHICLE},
    ),
    Break(
        "completed purchase without a vehicle",
        "vehicles",
        "DELETE FROM reservations WHERE order_id = '{completed}'",
        "order {completed} is COMPLETED, its vehicle is missing",
        {VEHICLE},
    ),
    Break(
        "vehicle sold to a purchase not paid",
        "vehicles",
        "UPDATE reservations SET state = 'SOLD' WHERE order_id = '{awaiting}';"
        "UPDATE vehicles SET is_reserved = false, is_sold = true WHERE id = '{awaiting_vehicle}'",
        "order {awaiting}: its vehicle is sold, but it is AWAITING_PAYMENT",
        {VEHICLE},
    ),
    Break(
        "vehicle sold to a failed purchase",
        "vehicles",
        "UPDATE reservations SET state = 'SOLD' WHERE order_id = '{declined}';"
        "UPDATE vehicles SET is_sold = true WHERE id = '{declined_vehicle}'",
        "order {declined}: its vehicle is sold, but it is FAILED",
        {VEHICLE, NOTHING_HELD},
    ),
    Break(
        "vehicle reserved for a failed purchase",
        "vehicles",
        "UPDATE reservations SET state = 'RESERVED' WHERE order_id = '{declined}';"
        "UPDATE vehicles SET is_reserved = true WHERE id = '{declined_vehicle}'",
        "order {declined} is FAILED, its vehicle is RESERVED",
        {NOTHING_HELD},
    ),
    Break(
        "code of a failed purchase still to be paid",
        "payments",
        "UPDATE payments SET state = 'PENDING' WHERE order_id = '{declined}'",
        "order {declined} is FAILED, its payment is PENDING",
        {NOTHING_HELD},
    ),
    Break(
        "payment of a failed purchase processed",
        "payments",
        "UPDATE payments SET state = 'PROCESSED' WHERE order_id = '{declined}'",
        "order {declined}: its payment is kept, but it is FAILED",
        {MONEY, NOTHING_HELD},
    ),
    Break(
        "completed purchase without a payment",
        "payments",
        "DELETE FROM payments WHERE order_id = '{completed}'",
        "order {completed} is COMPLETED, its payment is missing",
        {MONEY},
    ),
    Break(
        "completed purchase never charged",
        "payments",
        "DELETE FROM sandbox_operations WHERE order_id = '{completed}'",
        "order {completed} is COMPLETED, but 0 of its charges are kept",
        {MONEY},
    ),
    Break(
        "charged twice",
        "payments",
        "INSERT INTO sandbox_operations SELECT 'again', kind, order_id, amount_cents, method,"
        " outcome, calls FROM sandbox_operations WHERE order_id = '{closed}'",
        "order {closed}: charged 2 times",
        {MONEY},
    ),
    Break(
        "refunded twice",
        "payments",
        "INSERT INTO sandbox_operations SELECT 'again', kind, order_id, amount_cents, method,"
        " outcome, calls FROM sandbox_operations WHERE order_id = '{cancelled}' AND kind='refund'",
        "order {cancelled}: refunded 2 times",
        {MONEY},
    ),
    Break(
        "refunded by the gateway and by hand",
        "payments",
        "UPDATE payments SET settled_by = 'ana' WHERE order_id = '{cancelled}'",
        "order {cancelled}: refunded 2 times",
        {MONEY},
    ),
    Break(
        "charge of a cancelled purchase kept",
        "payments",
        "DELETE FROM sandbox_operations WHERE order_id = '{cancelled}' AND kind = 'refund'",
        "order {cancelled} is CANCELLED, but 1 of its charges are kept",
        {MONEY},
    ),
    Break(
        "refund refused by the gateway, yet taken for done",
        "payments",
        "UPDATE sandbox_operations SET outcome = 'nothing'"
        " WHERE order_id = '{cancelled}' AND kind = 'refund'",
        "order {cancelled} is CANCELLED, but 1 of its charges are kept",
        {MONEY},
    ),
    Break(
        "refund of another amount",
        "payments",
        "UPDATE sandbox_operations SET amount_cents = amount_cents - 1"
        " WHERE order_id = '{cancelled}' AND kind = 'refund'",
        "order {cancelled}: refund of another amount",
        {MONEY},
    ),
    Break(
        "charge of another amount",
        "payments",
        "UPDATE sandbox_operations SET amount_cents = amount_cents + 1 WHERE order_id = '{closed}'",
        "order {closed}: charge of another amount",
        {MONEY},
    ),
    Break(
        "charge without a payment",
        "payments",
        "INSERT INTO sandbox_operations"
        " VALUES ('stray', 'charge', '{nobody}', 1, 'tok_approve', 'approved', 1)",
        "order {nobody} is unknown, but 1 of its charges are kept",
        {MONEY},
    ),
    Break(
        "closed purchase without a payout",
        "payouts",
        "DELETE FROM payouts WHERE order_id = '{payout_failed}'",
        "order {payout_failed} is CLOSED, its payout is missing",
        {SELLERS},
    ),
    Break(
        "seller's payout resting half-way",
        "payouts",
        "UPDATE payouts SET status = 'PENDING', next_attempt = now() WHERE order_id = '{closed}'",
        "order {closed} is CLOSED, its payout is PENDING",
        {SELLERS},
    ),
    Break(
        "payout that failed without a word",
        "payouts",
        "UPDATE payouts SET sequence = 0 WHERE order_id = '{payout_failed}'",
        "order {payout_failed}: its payout is FAILED, and nobody was told",
        {SELLERS},
    ),
    Break(
        "seller paid before the vehicle was picked up",
        "orders",
        "UPDATE orders SET state = 'COMPLETED' WHERE id = '{closed}'",
        "order {closed} is COMPLETED, but has a payout",
        {SELLERS},
    ),
    Break(
        "payout of another amount",
        "payouts",
        "UPDATE payouts SET amount_cents = amount_cents + 1 WHERE order_id = '{closed}'",
        "order {closed}: payout of another amount",
        {SELLERS},
    ),
    Break(
        "payout to another seller",
        "payouts",
        "UPDATE payouts SET seller_id = '{completed_seller}' WHERE order_id = '{closed}'",
        "order {closed}: payout to another seller",
        {SELLERS},
    ),
    Break(
        "transfer of another amount",
        "payouts",
        "UPDATE sandbox_transfers SET amount_cents = 1 WHERE key = '{closed}'",
        "order {closed}: bank's transfer of another amount",
        {SELLERS},
    ),
    Break(
        "transfer to another seller",
        "payouts",
        "UPDATE sandbox_transfers SET seller_id = NULL WHERE key = '{closed}'",
        "order {closed}: bank's transfer to another seller",
        {SELLERS},
    ),
    Break(
        "seller paid twice by the bank",
        "payouts",
        "INSERT INTO sandbox_transfers SELECT 'again', external_id, seller_id, amount_cents, paid,"
        " calls FROM sandbox_transfers WHERE key = '{closed}'",
        "order {closed}: the bank paid 2 times, its payout is PAID",
        {SELLERS},
    ),
    Break(
        "payout taken for done that the bank never made",
        "payouts",
        "DELETE FROM sandbox_transfers WHERE key = '{closed}'",
        "order {closed}: the bank paid 0 times, its payout is PAID",
        {SELLERS},
    ),
    Break(
        "failed payout that the bank made all the same",
        "payouts",
        "UPDATE sandbox_transfers SET paid = true WHERE key = '{payout_failed}'",
        "order {payout_failed}: the bank paid 1 times, its payout is FAILED",
        {SELLERS},
    ),
    Break(
        "transfer without a payout",
        "payouts",
        "INSERT INTO sandbox_transfers VALUES ('stray', 'order:{nobody}', NULL, 1, true, 1)",
        "order {nobody}: the bank paid 1 times, its payout is missing",
        {SELLERS},
    ),
    Break(
        "event not published",
        "payments",
        "INSERT INTO outbox (id, subject, type, body, created_at)"
        " VALUES ('{nobody}', '{closed}', 'payment.refunded.v1', '', now() - interval '1 hour')",
        "payment.refunded.v1 {nobody} of {closed} was not published",
        {PUBLISHED},
    ),
    Break(
        "event never handled by one subscriber",
        "vehicles",
        "DELETE FROM inbox WHERE consumer = 'vehicles.on.payment.processed.v1'"
        f" AND message_id = '{identifier('closed', 'payment.processed.v1')}'",
        "vehicles.on.payment.processed.v1 never handled 1 events: "
        f"{identifier('closed', 'payment.processed.v1')}",
        {ARRIVED},
    ),
    Break(
        "event handled twice",
        "customers",
        "INSERT INTO inbox (message_id, consumer, made_at, payload_hash)"
        " SELECT message_id, consumer, made_at + interval '1 second', payload_hash FROM inbox"
        f" WHERE message_id = '{identifier('closed', 'order.confirmed.v1')}'",
        "customers.on.order.confirmed.v1 handled 1 events more than once: "
        f"{identifier('closed', 'order.confirmed.v1')}",
        {ARRIVED},
    ),
    Break(
        "resting after payment",
        "orders",
        "UPDATE orders SET state = 'PAID' WHERE id = '{awaiting}'",
        "order {awaiting} rests in PAID",
        {AT_REST},
    ),
    Break(
        "awaiting payment past the deadline",
        "orders",
        "UPDATE orders SET due_at = now() - interval '1 minute' WHERE id = '{awaiting}'",
        "order {awaiting} rests in AWAITING_PAYMENT",
        {AT_REST},
    ),
    Break(
        "awaiting payment without a deadline",
        "orders",
        "UPDATE orders SET due_at = NULL WHERE id = '{awaiting}'",
        "order {awaiting} rests in AWAITING_PAYMENT",
        {AT_REST},
    ),
    Break(
        "resting on the way back, nothing refused",
        "orders",
        "UPDATE orders SET state = 'COMPENSATING' WHERE id = '{declined}'",
        "order {declined} rests in COMPENSATING",
        {AT_REST},
    ),
    Break(
        "refund failed, and nobody on the way back",
        "orders",
        "UPDATE orders SET state = 'PAID' WHERE id = '{refund_failed}'",
        "order {refund_failed} rests in PAID",
        {AT_REST, VEHICLE},
    ),
    *(
        Break(
            f"another tenant in {service}",
            service,
            f"UPDATE {table} SET tenant_id = 'another' WHERE order_id = '{{closed}}'",
            f"order {{closed}}: another tenant in {service}",
            {RECORDS},
        )
        for service, table in (
            ("customers", "credit_reservations"),
            ("vehicles", "reservations"),
            ("payments", "payments"),
            ("payouts", "payouts"),
        )
    ),
    Break(
        "credit reserved for no purchase",
        "customers",
        "INSERT INTO credit_reservations (order_id, tenant_id, customer_id, total_cents, state,"
        f" sequence) VALUES ('{{nobody}}', 'default', '{{refused_customer}}', {PRICE},"
        " 'RESERVED', 1);"
        f"UPDATE customers SET reserved_cents = {PRICE}, available_cents = {PRICE}"
        " WHERE id = '{refused_customer}'",
        "order {nobody}: known to customers, but no purchase in orders",
        {RECORDS},
    ),
    Break(
        "vehicle reserved for no purchase",
        "vehicles",
        "INSERT INTO reservations (order_id, tenant_id, vehicle_id, state, sequence)"
        " VALUES ('{nobody}', 'default', '{refused_vehicle}', 'RESERVED', 1);"
        "UPDATE vehicles SET is_reserved = true WHERE id = '{refused_vehicle}'",
        "order {nobody}: known to vehicles, but no purchase in orders",
        {RECORDS},
    ),
    Break(
        "code to be paid for no purchase",
        "payments",
        "INSERT INTO payments (order_id, payment_id, tenant_id, state, cancellation_requested,"
        " attempts, version, sequence)"
        " VALUES ('{nobody}', '{nobody}', 'default', 'PENDING', false, 0, 1, 1)",
        "order {nobody}: known to payments, but no purchase in orders",
        {RECORDS},
    ),
    Break(
        "payout of no purchase",
        "payouts",
        "INSERT INTO payouts (payout_id, tenant_id, external_id, order_id, amount_cents, status,"
        " attempts, version, sequence)"
        " VALUES ('{nobody}', 'default', 'order:{nobody}', '{nobody}', 1, 'FAILED', 1, 1, 1)",
        "order {nobody}: known to payouts, but no purchase in orders",
        {RECORDS, SELLERS},
    ),
    Break(
        "order lost",
        "orders",
        "DELETE FROM orders WHERE id = '{refused}'",
        "order {refused}: known to customers, but no purchase in orders",
        {RECORDS},
    ),
)

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
    "order without a purchase": (
        "orders",
        "INSERT INTO orders (id, tenant_id, status, version, created_at)"
        " VALUES ('{nobody}', 'default', 'draft', 1, now() - interval '1 hour')",
    ),
}

JUST_MOVED = {
    "order just made": "UPDATE orders SET created_at = now() WHERE id = '{awaiting}'",
    "event just heard": "UPDATE orders SET history = jsonb_build_array(jsonb_build_array("
    "'payment.processed.v1', 'payments', 2, now())) WHERE id = '{awaiting}'",
    "event just published": "INSERT INTO outbox_archive (seq, id, subject, type, body, created_at)"
    " VALUES (1000, '{nobody}', '{awaiting}', 'order.cancellation_requested.v1', '', now())",
    "event just stated": "INSERT INTO outbox (id, subject, type, body)"
    " VALUES ('{nobody}', '{awaiting}', 'order.cancellation_requested.v1', '')",
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def filled(postgres_server: PostgresServer) -> AsyncIterator[Mapping[str, str]]:
    async with filled_databases(postgres_server) as databases:
        yield databases


@pytest.fixture
async def spoilt(
    postgres_server: PostgresServer, filled: Mapping[str, str]
) -> AsyncIterator[Spoilt]:
    copies = Spoilt(postgres_server, filled)
    try:
        yield copies
    finally:
        await copies.close()


def broken(report: Report) -> dict[str, list[str]]:
    return {each.rule: list(each.broken) for each in report.invariants if each.broken}


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
    assert {each.rule for each in report.invariants} == {
        *(CREDIT, VEHICLE, NOTHING_HELD, MONEY, SELLERS, PUBLISHED, ARRIVED, AT_REST, RECORDS)
    }


@pytest.mark.parametrize("case", BREAKS, ids=lambda case: case.name)
async def test_a_broken_rule_turns_red_and_names_what_it_is_about(
    spoilt: Spoilt, case: Break
) -> None:
    await spoilt.spoil(case.service, case.statements)

    report = await check(spoilt.databases, PARTICIPANTS)

    assert not report.hold
    assert broken(report).keys() == case.rules
    assert case.sentence.format(**IDS) in [
        sentence for sentences in broken(report).values() for sentence in sentences
    ]


@pytest.mark.parametrize("steps", ALLOWED.values(), ids=ALLOWED)
async def test_what_is_allowed_stays_green(spoilt: Spoilt, steps: tuple[str, ...]) -> None:
    for service, statements in zip(steps[::2], steps[1::2], strict=True):
        await spoilt.spoil(service, statements)

    assert broken(await check(spoilt.databases, PARTICIPANTS)) == {}


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


async def test_without_archives_the_report_says_what_could_not_be_checked(spoilt: Spoilt) -> None:
    for service in spoilt.databases:
        await spoilt.spoil(service, "TRUNCATE outbox_archive")

    report = await check(spoilt.databases, PARTICIPANTS)

    assert broken(report) == {}
    assert ARRIVED not in [each.rule for each in report.invariants]
    assert report.notes[2:] == [
        f"{service} archives no events: whether its own reached everyone could not be checked"
        for service in ("orders", "customers", "vehicles", "payments", "payouts")
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
