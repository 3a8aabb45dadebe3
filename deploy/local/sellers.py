"""Whether the seller of every vehicle that was picked up has been paid: once, and the right sum."""

from collections import Counter
from collections.abc import Iterator
from uuid import UUID

from deploy.local.snapshot import Row, Snapshot

ENDS = {"PAID": 1, "FAILED": 0}
"""How often the bank has paid. A payout that is neither is on its way, and must not rest there."""


def sellers_are_paid(now: Snapshot) -> Iterator[str]:
    """One sentence for each offence. A payout that failed is none: `failed_payouts` lists it."""
    for order_id, order in now.settled(now.orders):
        payout = now.payouts.get(order_id)
        found = "missing" if payout is None else payout["state"]
        if order["state"] == "CLOSED" and found not in ENDS:
            yield f"order {order_id} is CLOSED, its payout is {found}"
    for order_id, payout in now.settled(now.payouts):
        if now.state_of(order_id) != "CLOSED":
            yield f"order {order_id} is {now.state_of(order_id)}, but has a payout"
        if payout["state"] in ENDS and not payout["told"]:
            yield f"order {order_id}: its payout is {payout['state']}, and nobody was told"
    yield from _the_right_sums(now)
    yield from _the_bank_agrees(now)


def failed_payouts(now: Snapshot) -> list[str]:
    return [
        f"payout of order {order_id} failed and needs a person"
        for order_id, payout in now.payouts.items()
        if payout["state"] == "FAILED"
    ]


def _the_right_sums(now: Snapshot) -> Iterator[str]:
    sellers = {vehicle["id"]: vehicle["seller_id"] for vehicle in now.vehicles}
    payments: list[tuple[str, UUID, Row]] = [
        *(("payout", order_id, payout) for order_id, payout in now.payouts.items()),
        *(("bank's transfer", transfer["order_id"], transfer) for transfer in now.transfers),
    ]
    for what, order_id, payment in payments:
        order, reservation = now.orders.get(order_id), now.reservations.get(order_id)
        if order is not None and payment["amount_cents"] != order["total_cents"]:
            yield f"order {order_id}: {what} of another amount"
        seller_id = None if reservation is None else sellers.get(reservation["vehicle_id"])
        if seller_id is not None and payment["seller_id"] != seller_id:
            yield f"order {order_id}: {what} to another seller"


def _the_bank_agrees(now: Snapshot) -> Iterator[str]:
    paid = Counter(transfer["order_id"] for transfer in now.transfers)
    for order_id in {*now.payouts, *paid} - now.young:
        payout = now.payouts.get(order_id)
        state = "missing" if payout is None else payout["state"]
        if paid[order_id] != ENDS.get(state, paid[order_id] if payout else 0):
            yield f"order {order_id}: the bank paid {paid[order_id]} times, its payout is {state}"
