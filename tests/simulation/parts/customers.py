from typing import Any

from libs.kernel.clock import Clock
from libs.kernel.ids import IdFactory
from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import UnitOfWork
from services.customers.infrastructure.consumers import participant
from tests.simulation.parts import Part, Records, Seen
from tests.unit.customers.memory import MemoryCustomers, MemoryReservations


class Customers(UnitOfWork):
    def __init__(self, connection: Any, outbox: Outbox) -> None:
        super().__init__(connection, outbox)
        self.customers = MemoryCustomers(connection.table("customers"))
        self.reservations = MemoryReservations(
            self.customers.rows, connection.table("reservations"), connection.table("closed")
        )


def part(clock: Clock, ids: IdFactory) -> Part:
    return Part(participant(), Customers, records)


def records(seen: Seen) -> Records:
    known = seen.rows("customers")
    return {
        order_id: {
            "tenant_id": each.tenant_id,
            "state": str(each.state),
            "customer_id": each.customer_id,
            "known": each.customer_id in known,
        }
        for order_id, each in seen.rows("reservations").items()
    }
