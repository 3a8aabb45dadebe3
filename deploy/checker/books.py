"""The totals of each customer and each vehicle are compared with their records.

The comparison runs inside the database, which returns only those that differ.
"""

from collections.abc import AsyncIterator, Mapping

from libs.messaging.database import Connection

CUSTOMERS = """
    WITH records AS (
        SELECT customer_id,
               coalesce(sum(total_cents) FILTER (WHERE state = 'RESERVED'), 0) AS reserved,
               coalesce(sum(total_cents) FILTER (WHERE state = 'CONSUMED'), 0) AS consumed
          FROM credit_reservations GROUP BY customer_id),
    compared AS (
        SELECT c.id,
               available_cents < 0 AS below_zero,
               available_cents + reserved_cents + consumed_cents <> limit_cents AS unbalanced,
               reserved_cents <> coalesce(r.reserved, 0) AS reserved_differs,
               consumed_cents <> coalesce(r.consumed, 0) AS consumed_differs
          FROM customers c LEFT JOIN records r ON r.customer_id = c.id)
    SELECT * FROM compared
     WHERE below_zero OR unbalanced OR reserved_differs OR consumed_differs"""
OF_A_CUSTOMER = {
    "below_zero": "available is below zero",
    "unbalanced": "available, reserved and consumed are not the limit",
    "reserved_differs": "RESERVED is not the sum of its records",
    "consumed_differs": "CONSUMED is not the sum of its records",
}

VEHICLES = """
    WITH records AS (
        SELECT vehicle_id, count(*) AS held, bool_or(state = 'RESERVED') AS reserved,
               bool_or(state = 'SOLD') AS sold
          FROM reservations WHERE state IN ('RESERVED', 'SOLD') GROUP BY vehicle_id),
    compared AS (
        SELECT coalesce(v.id, r.vehicle_id) AS id, r.held,
               r.held > 1 AS held_again,
               v.is_reserved <> coalesce(r.reserved, false) AS reserved_differs,
               NOT v.is_sold AND r.sold AS sold_unmarked
          FROM vehicles v FULL JOIN records r ON r.vehicle_id = v.id)
    SELECT * FROM compared WHERE held_again OR reserved_differs OR sold_unmarked"""
OF_A_VEHICLE = {
    "held_again": "held by {held} purchases",
    "reserved_differs": "is_reserved differs from its records",
    "sold_unmarked": "sold by a purchase, but not marked as sold",
}


async def customers_that_do_not_add_up(connection: Connection) -> AsyncIterator[str]:
    """Yield one sentence for each violation. The caller has begun a transaction."""
    async for sentence in _offences(connection, CUSTOMERS, "customer", OF_A_CUSTOMER):
        yield sentence


async def vehicles_that_do_not_add_up(connection: Connection) -> AsyncIterator[str]:
    """Yield one sentence for each violation. The caller has begun a transaction."""
    async for sentence in _offences(connection, VEHICLES, "vehicle", OF_A_VEHICLE):
        yield sentence


async def _offences(
    connection: Connection, statement: str, what: str, sentences: Mapping[str, str]
) -> AsyncIterator[str]:
    async for row in connection.cursor(statement, prefetch=1000):
        for offence, sentence in sentences.items():
            if row[offence]:
                yield f"{what} {row['id']}: {sentence.format(**dict(row))}"
