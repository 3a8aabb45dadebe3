from dataclasses import replace
from functools import partial
from typing import Any

from libs.kernel.clock import Clock
from libs.kernel.ids import IdFactory
from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import UnitOfWork
from services.payments.infrastructure.consumers import participant, reactions
from tests.simulation.parts import Part, Records, Seen
from tests.simulation.terms import TERMS
from tests.unit.payments.memory import MemoryPayments


class Payments(UnitOfWork):
    def __init__(self, connection: Any, outbox: Outbox, clock: Clock, ids: IdFactory) -> None:
        super().__init__(connection, outbox)
        rows, due = connection.table("payments"), connection.table("due")
        self.payments = MemoryPayments(clock(), rows, due, ids)


def part(clock: Clock, ids: IdFactory) -> Part:
    paying = reactions(TERMS, ids, lambda _: ids().int & 2**75 - 1)
    ours = replace(participant(), reactions=paying)
    return Part(ours, partial(Payments, clock=clock, ids=ids), records)


def records(seen: Seen) -> Records:
    rows = seen.rows("payments")
    return {
        order_id: {
            "tenant_id": order_id in rows and rows[order_id].tenant_id,
            "state": str(rows[order_id].state) if order_id in rows else None,
            "settled": order_id in rows and rows[order_id].settled_by is not None,
            "charge_settled": order_id in rows and rows[order_id].charge_settled_by is not None,
            "needs_attention": order_id in rows and rows[order_id].needs_attention,
            "charges": len(seen.money.charges.get(order_id, ())),
            "charged": min(seen.money.charges.get(order_id, ()), default=None),
            "most_charged": max(seen.money.charges.get(order_id, ()), default=None),
            "refunds": len(seen.money.refunds.get(order_id, ())),
            "refunded": min(seen.money.refunds.get(order_id, ()), default=None),
            "most_refunded": max(seen.money.refunds.get(order_id, ()), default=None),
        }
        for order_id in dict.fromkeys([*rows, *seen.money.charges, *seen.money.refunds])
    }
