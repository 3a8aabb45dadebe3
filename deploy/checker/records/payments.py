"""This module reads the payment of each purchase, beside the gateway's own books."""

from collections.abc import Iterator, Sequence

from deploy.checker.purchase import (
    MAY_HOLD_A_SALE,
    SUCCEEDED,
    Purchase,
    Row,
    state_of,
    success_has,
)

STATEMENT = """
    SELECT order_id, p.tenant_id, p.state, p.settled_by IS NOT NULL AS settled,
           p.charge_settled_by IS NOT NULL AS charge_settled, p.needs_attention,
           greatest(coalesce(o.charges, 0), (p.charge_settled_by IS NOT NULL
                    AND p.charge_reference IS NOT NULL)::int) AS charges,
           coalesce(o.refunds, 0) AS refunds,
           o.charged, o.most_charged, o.refunded, o.most_refunded
      FROM payments p FULL JOIN (
           SELECT order_id,
                  count(*) FILTER (WHERE kind = 'charge') AS charges,
                  min(amount_cents) FILTER (WHERE kind = 'charge') AS charged,
                  max(amount_cents) FILTER (WHERE kind = 'charge') AS most_charged,
                  count(*) FILTER (WHERE kind = 'refund') AS refunds,
                  min(amount_cents) FILTER (WHERE kind = 'refund') AS refunded,
                  max(amount_cents) FILTER (WHERE kind = 'refund') AS most_refunded
             FROM sandbox_operations WHERE outcome = 'approved' GROUP BY order_id) o
     USING (order_id) ORDER BY order_id"""

MONEY_OPEN = frozenset({"PENDING", "PROCESSING", "PROCESSED", "REFUNDING"})
GATEWAY_MAY_DIFFER = frozenset({"PROCESSING", "REFUND_FAILED"})
"""In these states the gateway's books may differ: a charge without an answer yet, a refund that
failed.
"""


def money_is_right(it: Purchase) -> Iterator[str]:
    charges, refunds = _times_moved(it.payment)
    paid = state_of(it.payment)
    if paid == "PROCESSED" and it.state not in MAY_HOLD_A_SALE:
        yield f"order {it.order_id}: its payment is kept, but it is {it.state}"
    for what, times in (("charged", charges), ("refunded", refunds)):
        if times > 1:
            yield f"order {it.order_id}: {what} {times} times"
    kept = charges - refunds
    told = it.payment is not None and paid not in GATEWAY_MAY_DIFFER and not charged_after_all(it)
    if told and kept != (it.state in SUCCEEDED):
        yield f"order {it.order_id} is {it.state}, but {kept} of its charges are kept"
    yield from _amounts_are_right(it)
    yield from success_has(it, it.payment, "payment", "PROCESSED")


def refund_failed(it: Purchase) -> bool:
    return state_of(it.payment) == "REFUND_FAILED"


def charge_unanswered(it: Purchase) -> bool:
    """Return whether a person is asked for the result at the gateway, and can record it."""
    return (
        it.payment is not None
        and it.payment["state"] == "PROCESSING"
        and it.payment["needs_attention"]
    )


def charged_after_all(it: Purchase) -> bool:
    """Return whether a charge that a person recorded as not made was made, and is refunded."""
    return (
        it.payment is not None
        and it.payment["state"] == "REFUNDING"
        and it.payment["charge_settled"]
    )


def _times_moved(payment: Row | None) -> tuple[int, int]:
    """Return how often the gateway charged the payment, and how often it was refunded: by the
    gateway, or by a person who recorded it as settled.
    """
    if payment is None:
        return 0, 0
    return payment["charges"], payment["refunds"] + bool(payment["settled"])


def _amounts_are_right(it: Purchase) -> Iterator[str]:
    if it.payment is None or it.order is None:
        return
    total = it.order["total_cents"]
    amounts: Sequence[tuple[str, str, str]] = (
        ("charge", "charged", "most_charged"),
        ("refund", "refunded", "most_refunded"),
    )
    for kind, least, most in amounts:
        if it.payment[least] is None:
            continue
        if it.payment[least] != total or it.payment[most] != total:
            yield f"order {it.order_id}: {kind} of another amount"


RULES = {"money is kept once or given back once": money_is_right}
