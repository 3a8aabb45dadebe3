"""The units of work over a database in memory, with the real outbox and the unit tests' ports."""

from collections.abc import Callable
from typing import Any

from libs.kernel.clock import Clock
from libs.kernel.ids import IdFactory
from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import UnitOfWork
from tests.unit.customers.memory import CustomersInMemory, ReservationsInMemory
from tests.unit.orders.memory import MemoryOrders, MemoryPurchases
from tests.unit.payments.memory import MemoryPayments
from tests.unit.payouts.memory import MemoryPayouts
from tests.unit.vehicles.memory import MemoryReservations, MemoryVehicles

UnitFactory = Callable[[Any, Outbox], UnitOfWork]


class Orders(UnitOfWork):
    def __init__(self, connection: Any, outbox: Outbox, clock: Clock) -> None:
        super().__init__(connection, outbox)
        rows = connection.table("orders")
        self.orders = MemoryOrders(rows, clock())
        self.purchases = MemoryPurchases(rows, clock())


class Customers(UnitOfWork):
    def __init__(self, connection: Any, outbox: Outbox) -> None:
        super().__init__(connection, outbox)
        self.customers = CustomersInMemory(connection.table("customers"))
        self.reservations = ReservationsInMemory(
            self.customers.rows, connection.table("reservations"), connection.table("closed")
        )


class Vehicles(UnitOfWork):
    def __init__(self, connection: Any, outbox: Outbox) -> None:
        super().__init__(connection, outbox)
        self.vehicles = MemoryVehicles(connection.table("vehicles"))
        self.reservations = MemoryReservations(self.vehicles, connection.table("reservations"))


class Payments(UnitOfWork):
    def __init__(self, connection: Any, outbox: Outbox, clock: Clock, ids: IdFactory) -> None:
        super().__init__(connection, outbox)
        rows, due = connection.table("payments"), connection.table("due")
        self.payments = MemoryPayments(clock(), rows, due, ids)


class Payouts(UnitOfWork):
    def __init__(self, connection: Any, outbox: Outbox, clock: Clock, ids: IdFactory) -> None:
        super().__init__(connection, outbox)
        rows, due = connection.table("payouts"), connection.table("due")
        self.payouts = MemoryPayouts(clock(), rows, due, ids)
