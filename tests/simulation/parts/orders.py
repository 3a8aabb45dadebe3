from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Any

from libs.kernel.clock import Clock
from libs.kernel.ids import IdFactory
from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import UnitOfWork
from services.orders.infrastructure.consumers import participant, reactions
from tests.simulation.parts import Part, Records, Seen
from tests.simulation.terms import DEADLINES, MOST_OPEN
from tests.unit.orders.memory import MemoryOrders, MemoryPurchases


class Orders(UnitOfWork):
    def __init__(self, connection: Any, outbox: Outbox, clock: Clock) -> None:
        super().__init__(connection, outbox)
        self.deadlines, self.most_open = DEADLINES, MOST_OPEN
        rows = connection.table("orders")
        self.orders = MemoryOrders(rows, clock())
        self.purchases = MemoryPurchases(rows, clock())


def part(clock: Clock, ids: IdFactory) -> Part:
    ours = replace(participant(), reactions=reactions(clock))
    return Part(ours, partial(Orders, clock=clock), records)


def records(seen: Seen) -> Records:
    bought = {each.id: each.purchase for each in seen.rows("orders").values() if each.purchase}
    return {
        order_id: {
            "tenant_id": each.tenant_id,
            "state": str(each.state),
            "total_cents": each.price_cents,
            "overdue": not (isinstance(each.due, datetime) and each.due > seen.now),
        }
        for order_id, each in bought.items()
    }
