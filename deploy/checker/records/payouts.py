"""This module reads the payout of each purchase, beside the bank's own books."""

from collections.abc import Iterator

from deploy.checker.purchase import Purchase, Row

STATEMENT = """
    SELECT order_id, p.tenant_id, p.status AS state, p.seller_id, p.amount_cents,
           p.sequence > 0 AS told, p.needs_attention,
           coalesce(t.transfers, 0) AS transfers, p.settled_by IS NOT NULL AS settled,
           t.paid, t.most_paid, t.paid_to, t.also_paid_to
      FROM (SELECT * FROM payouts WHERE order_id IS NOT NULL) p FULL JOIN (
           SELECT substr(external_id, length('order:') + 1)::uuid AS order_id,
                  count(*) AS transfers,
                  min(amount_cents) AS paid, max(amount_cents) AS most_paid,
                  min(coalesce(seller_id::text, 'nobody')) AS paid_to,
                  max(coalesce(seller_id::text, 'nobody')) AS also_paid_to
             FROM sandbox_transfers WHERE paid AND external_id ~ '^order:[0-9a-f-]{36}$'
            GROUP BY 1) t
     USING (order_id) ORDER BY order_id"""

ENDS = {"PAID": 1, "FAILED": 0}
"""With this status the bank has paid this often. Any other status is on its way, not at rest."""


def sellers_are_paid(it: Purchase) -> Iterator[str]:
    """A failed payout is no violation: `payout_failed` reports it."""
    state = None if it.payout is None else it.payout["state"]
    if it.state == "CLOSED" and state not in ENDS and not payout_unanswered(it):
        yield f"order {it.order_id} is CLOSED, its payout is {state or 'missing'}"
    if it.payout is None:
        return
    if state is not None and it.state != "CLOSED":
        yield f"order {it.order_id} is {it.state}, but has a payout"
    if state in ENDS and not it.payout["told"]:
        yield f"order {it.order_id}: its payout is {state}, and nobody was told"
    yield from _the_right_sums(it, it.payout)
    yield from _the_bank_agrees(it, it.payout)


def payout_failed(it: Purchase) -> bool:
    return it.payout is not None and it.payout["state"] == "FAILED"


def payout_unanswered(it: Purchase) -> bool:
    """Return whether a person is asked for the result at the bank, and can record it."""
    return (
        it.payout is not None and it.payout["state"] == "PENDING" and it.payout["needs_attention"]
    )


def _the_right_sums(it: Purchase, payout: Row) -> Iterator[str]:
    """Compare the sum owed and the sum the bank has moved with the order's, and the sellers."""
    seller = None if it.reservation is None else it.reservation["seller_id"]
    moved: list[tuple[str, set[int], set[str]]] = []
    if payout["state"] is not None:
        moved.append(("payout", {payout["amount_cents"]}, {str(payout["seller_id"])}))
    if payout["transfers"]:
        amounts = {payout["paid"], payout["most_paid"]}
        sellers = {payout["paid_to"], payout["also_paid_to"]}
        moved.append(("bank's transfer", amounts, sellers))
    for what, amounts, sellers in moved:
        if it.order is not None and amounts != {it.order["total_cents"]}:
            yield f"order {it.order_id}: {what} of another amount"
        if seller is not None and sellers != {str(seller)}:
            yield f"order {it.order_id}: {what} to another seller"


def _the_bank_agrees(it: Purchase, payout: Row) -> Iterator[str]:
    """A payout that a person recorded as paid counts, whether or not the bank's books show it."""
    state = payout["state"]
    paid = max(payout["transfers"], int(bool(payout["settled"]) and state == "PAID"))
    if paid != ENDS.get(state, 0 if state is None else paid):
        yield f"order {it.order_id}: the bank paid {paid} times, its payout is {state or 'missing'}"


RULES = {"every seller is paid once": sellers_are_paid}
