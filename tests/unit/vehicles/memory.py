"""Implements the ports of vehicles in memory.

Rows are stored and handed out as copies: a change that is not saved is lost, as in a database.
"""

from collections.abc import Sequence
from copy import copy
from uuid import UUID

from libs.kernel.events import DomainEvent
from services.vehicles.application.ports import Held, Listing, MakeCount, Search
from services.vehicles.domain.errors import VehicleAlreadyListed, VehicleNotFound
from services.vehicles.domain.papers import Papers
from services.vehicles.domain.reservation import Reservation
from services.vehicles.domain.vehicle import Vehicle


class MemoryVehicles:
    def __init__(self, by_id: dict[UUID, Listing] | None = None) -> None:
        self.by_id = {} if by_id is None else by_id

    async def add(self, vehicle: Vehicle, papers: Papers) -> None:
        self._write(vehicle, papers)

    async def get(self, tenant_id: str, vehicle_id: UUID) -> Listing:
        listing = self.by_id.get(vehicle_id)
        if listing is None or listing.vehicle.tenant_id != tenant_id:
            raise VehicleNotFound
        return Listing(copy(listing.vehicle), listing.papers)

    lock = get

    async def save(self, vehicle: Vehicle, papers: Papers | None = None) -> None:
        self._write(vehicle, papers or self.by_id[vehicle.id].papers)

    async def page(
        self, search: Search, after: tuple[int, UUID] | None, limit: int
    ) -> Sequence[Listing]:
        raise NotImplementedError

    async def makes(self, search: Search) -> Sequence[MakeCount]:
        raise NotImplementedError

    async def page_of_seller(
        self, tenant_id: str, after: UUID | None, limit: int, *, seller_id: UUID
    ) -> Sequence[Listing]:
        raise NotImplementedError

    async def is_listed_again(self, vehicle: Vehicle) -> bool:
        return bool(self._carrying(vehicle, self.by_id[vehicle.id].papers))

    def _write(self, vehicle: Vehicle, papers: Papers) -> None:
        on_market = not (vehicle.is_sold or vehicle.withdrawn)
        others = self._carrying(vehicle, papers)
        if on_market and any(vehicle.tenant_id == other.tenant_id for other in others):
            raise VehicleAlreadyListed("plate")
        self.by_id[vehicle.id] = Listing(copy(vehicle), papers)

    def _carrying(self, vehicle: Vehicle, papers: Papers) -> list[Vehicle]:
        return [
            other.vehicle
            for other in self.by_id.values()
            if other.vehicle.id != vehicle.id
            and not (other.vehicle.is_sold or other.vehicle.withdrawn)
            and other.papers.unique_plate == papers.unique_plate
        ]


class MemoryReservations:
    def __init__(
        self, vehicles: MemoryVehicles, by_order: dict[UUID, Reservation] | None = None
    ) -> None:
        self.by_order = {} if by_order is None else by_order
        self._vehicles = vehicles

    async def open(self, reservation: Reservation) -> Held | None:
        if reservation.order_id in self.by_order:
            return None
        self.by_order[reservation.order_id] = copy(reservation)
        held = self._held(reservation)
        if held.vehicle is not None and held.vehicle.tenant_id != reservation.tenant_id:
            return Held(reservation, None)
        return held

    async def find_locked(self, order_id: UUID) -> Held | None:
        reservation = self.by_order.get(order_id)
        return None if reservation is None else self._held(copy(reservation))

    async def add_or_lock(self, tombstone: Reservation) -> Held | None:
        held = await self.find_locked(tombstone.order_id)
        if held is None:
            self.by_order[tombstone.order_id] = copy(tombstone)
        return held

    async def save(self, held: Held) -> None:
        self.by_order[held.reservation.order_id] = copy(held.reservation)
        if held.vehicle is not None:
            await self._vehicles.save(held.vehicle)

    def _held(self, reservation: Reservation) -> Held:
        listing = reservation.vehicle_id and self._vehicles.by_id.get(reservation.vehicle_id)
        return Held(reservation, copy(listing.vehicle) if listing else None)


class MemoryUnitOfWork:
    def __init__(self) -> None:
        self.vehicles = MemoryVehicles()
        self.reservations = MemoryReservations(self.vehicles)
        self.published: list[DomainEvent] = []

    def publish(self, *events: DomainEvent) -> None:
        self.published.extend(events)
