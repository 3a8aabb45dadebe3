from dataclasses import replace
from functools import partial
from typing import Any

from libs.kernel.clock import Clock
from libs.kernel.ids import IdFactory
from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import UnitOfWork
from services.payouts.infrastructure.consumers import participant, reactions
from tests.simulation.impossible import PAYOUT, Consequence
from tests.simulation.parts import Part, Records, Seen
from tests.unit.payouts.memory import MemoryPayouts

IMPOSSIBLE = [
    Consequence("only the seller of a closed order is paid", "order.closed.v1", PAYOUT),
]


class Payouts(UnitOfWork):
    def __init__(self, connection: Any, outbox: Outbox, clock: Clock, ids: IdFactory) -> None:
        super().__init__(connection, outbox)
        rows, due = connection.table("payouts"), connection.table("due")
        self.payouts = MemoryPayouts(clock(), rows, due, ids)


def part(clock: Clock, ids: IdFactory) -> Part:
    ours = replace(participant(), reactions=reactions(ids))
    return Part(ours, partial(Payouts, clock=clock, ids=ids), records)


def records(seen: Seen) -> Records:
    rows = {each.order_id: each for each in seen.rows("payouts").values()}
    rows.pop(None, None)  # without an order: asked for by hand
    held: Records = {}
    for order_id in dict.fromkeys([*rows, *seen.money.transfers]):
        payout, transfers = rows.get(order_id), seen.money.transfers.get(order_id, ())
        paid = [each.amount_cents for each in transfers]
        sellers = [str(each.seller_id) for each in transfers]
        held[order_id] = {
            "tenant_id": payout and payout.tenant_id,
            "state": payout and str(payout.status),
            "seller_id": payout and payout.seller_id,
            "amount_cents": payout and payout.amount_cents,
            "told": payout is not None and payout.sequence > 0,
            "needs_attention": payout is not None and payout.needs_attention,
            "settled": payout is not None and payout.settled_by is not None,
            "transfers": len(transfers),
            "paid": min(paid, default=None),
            "most_paid": max(paid, default=None),
            "paid_to": min(sellers, default=None),
            "also_paid_to": max(sellers, default=None),
        }
    return held
