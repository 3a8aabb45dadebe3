"""This module reads the order of each purchase. No purchase may rest half-way."""

from collections.abc import Iterator

from deploy.checker.purchase import ENDED, Purchase
from deploy.checker.records.payments import charge_unanswered, refund_failed

STATEMENT = """
    SELECT id AS order_id, tenant_id, state, total_cents,
           coalesce(due_at < now() - $1 * interval '1 second', true) AS overdue
      FROM orders WHERE state IS NOT NULL ORDER BY id"""


def nothing_rests(it: Purchase) -> Iterator[str]:
    if it.order is None or it.state in ENDED:
        return
    at_rest = (it.state == "AWAITING_PAYMENT" and not it.order["overdue"]) or (
        it.state == "COMPENSATING" and (refund_failed(it) or charge_unanswered(it))
    )
    if not at_rest:
        yield f"order {it.order_id} rests in {it.state}"


RULES = {"no purchase rests half-way": nothing_rests}
