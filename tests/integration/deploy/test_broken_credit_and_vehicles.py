"""The checker reports credit and vehicles that break an invariant."""

import pytest

from tests.integration.deploy.purchases import PRICE
from tests.integration.deploy.rules import CREDIT, NOTHING_HELD, VEHICLE, Break, assert_turns_red
from tests.integration.deploy.spoilt import Spoilt

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
)


@pytest.mark.parametrize("case", BREAKS, ids=lambda case: case.name)
async def test_a_broken_rule_turns_red_and_names_what_it_is_about(
    spoilt: Spoilt, case: Break
) -> None:
    await assert_turns_red(spoilt, case)
