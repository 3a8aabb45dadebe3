from typing import Any

from libs.kernel.clock import Clock
from libs.kernel.ids import IdFactory
from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import UnitOfWork
from services.vehicles.infrastructure.consumers import participant
from tests.simulation.parts import Part
from tests.unit.vehicles.memory import MemoryReservations, MemoryVehicles


class Vehicles(UnitOfWork):
    def __init__(self, connection: Any, outbox: Outbox) -> None:
        super().__init__(connection, outbox)
        self.vehicles = MemoryVehicles(connection.table("vehicles"))
        self.reservations = MemoryReservations(self.vehicles, connection.table("reservations"))


def part(clock: Clock, ids: IdFactory) -> Part:
    return Part(participant(), Vehicles)
