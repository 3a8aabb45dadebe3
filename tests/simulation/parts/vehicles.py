from typing import Any

from libs.kernel.clock import Clock
from libs.kernel.ids import IdFactory
from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import UnitOfWork
from services.vehicles.infrastructure.consumers import participant
from tests.simulation.parts import Part, Records, Seen
from tests.unit.vehicles.memory import MemoryReservations, MemoryVehicles


class Vehicles(UnitOfWork):
    def __init__(self, connection: Any, outbox: Outbox) -> None:
        super().__init__(connection, outbox)
        self.vehicles = MemoryVehicles(connection.table("vehicles"))
        self.reservations = MemoryReservations(self.vehicles, connection.table("reservations"))


def part(clock: Clock, ids: IdFactory) -> Part:
    return Part(participant(), Vehicles, records)


def records(seen: Seen) -> Records:
    listings = seen.rows("vehicles")
    held: Records = {}
    for order_id, each in seen.rows("reservations").items():
        listing = listings.get(each.vehicle_id)
        held[order_id] = {
            "tenant_id": each.tenant_id,
            "state": str(each.state),
            "vehicle_id": each.vehicle_id,
            "known": listing is not None,
            "seller_id": None if listing is None else listing.vehicle.seller_id,
        }
    return held
