"""The checker reports lost events, purchases that never end, and records without an owner."""

import pytest

from deploy.checker.invariants import ARRIVED
from tests.integration.deploy.purchases import PRICE, identifier
from tests.integration.deploy.rules import (
    AT_REST,
    PUBLISHED,
    RECORDS,
    SELLERS,
    VEHICLE,
    Break,
    assert_turns_red,
)
from tests.integration.deploy.spoilt import Spoilt

BREAKS = (
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
        "resting in compensation, nothing refused",
        "orders",
        "UPDATE orders SET state = 'COMPENSATING' WHERE id = '{declined}'",
        "order {declined} rests in COMPENSATING",
        {AT_REST},
    ),
    Break(
        "refund failed, and not compensating",
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


@pytest.mark.parametrize("case", BREAKS, ids=lambda case: case.name)
async def test_a_broken_rule_turns_red_and_names_what_it_is_about(
    spoilt: Spoilt, case: Break
) -> None:
    await assert_turns_red(spoilt, case)
