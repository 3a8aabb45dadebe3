"""This module reads the credit that each purchase holds."""

from collections.abc import Iterator

from deploy.checker.purchase import Purchase, held_of_nobody, success_has

STATEMENT = """
    SELECT r.order_id, r.tenant_id, r.state, c.id IS NOT NULL AS known,
           CASE WHEN c.id IS NULL THEN r.customer_id END AS customer_id
      FROM credit_reservations r LEFT JOIN customers c ON c.id = r.customer_id
     ORDER BY r.order_id"""

CREDIT = "credit adds up for every customer"
HOLDS_CREDIT = frozenset({"RESERVED", "CONSUMED"})


def credit_is_consumed_by_what_succeeded(it: Purchase) -> Iterator[str]:
    yield from held_of_nobody(it, it.credit, HOLDS_CREDIT, "customer")
    yield from success_has(it, it.credit, "credit", "CONSUMED")


RULES = {CREDIT: credit_is_consumed_by_what_succeeded}
