"""The use cases need these ports, which Postgres implements."""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from libs.kernel.events import DomainEvent
from services.vehicles.domain.papers import Papers
from services.vehicles.domain.reservation import Reservation
from services.vehicles.domain.vehicle import Vehicle


class Status(StrEnum):
    FOR_SALE = "for_sale"
    SOLD = "sold"


@dataclass(frozen=True)
class Listing:
    """A listing is a vehicle with its unmasked papers. Mask them before they leave the service."""

    vehicle: Vehicle
    papers: Papers


@dataclass(frozen=True)
class Search:
    """A search selects a tenant's vehicles, ordered by price. Make and model match whole, in any
    case. Each of `words` (see `words_of`) stands somewhere in the make, model, colour or year.
    """

    tenant_id: str
    status: Status
    make: str | None = None
    model: str | None = None
    words: tuple[str, ...] = ()
    year_min: int | None = None
    year_max: int | None = None
    price_min: int | None = None
    price_max: int | None = None
    descending: bool = False


@dataclass(frozen=True)
class MakeCount:
    """`make` has its most frequent spelling."""

    make: str
    count: int


@dataclass(frozen=True)
class Held:
    """A record and its vehicle are locked. The vehicle is None for a tombstone or where it is
    unknown.
    """

    reservation: Reservation
    vehicle: Vehicle | None


class VehicleRepository(Protocol):
    async def add(self, vehicle: Vehicle, papers: Papers) -> None:
        """Insert the vehicle. Raises VehicleAlreadyListed."""

    async def get(self, tenant_id: str, vehicle_id: UUID) -> Listing:
        """Return the vehicle. Raises VehicleNotFound."""
        ...

    async def lock(self, tenant_id: str, vehicle_id: UUID) -> Listing:
        """Return the same as `get`. Nobody else writes the vehicle until the transaction ends."""
        ...

    async def save(self, vehicle: Vehicle, papers: Papers | None = None) -> None:
        """Write a locked vehicle. Without `papers` the stored ones stay. Raises
        VehicleAlreadyListed.
        """

    async def page(
        self, search: Search, after: tuple[int, UUID] | None, limit: int
    ) -> Sequence[Listing]:
        """Return at most `limit` vehicles after `after`, in the order of (price_cents, id)."""
        ...

    async def makes(self, search: Search) -> Sequence[MakeCount]:
        """Count the vehicles of each make, ordered by name, without the filter by make."""
        ...

    async def page_of_seller(
        self, tenant_id: str, after: UUID | None, limit: int, *, seller_id: UUID
    ) -> Sequence[Listing]:
        """Return at most `limit` of a seller's vehicles, on the market or not, newest first."""
        ...

    async def is_listed_again(self, vehicle: Vehicle) -> bool:
        """Return whether another vehicle on the market carries one of the papers of this one."""
        ...


class ReservationRepository(Protocol):
    async def open(self, reservation: Reservation) -> Held | None:
        """Write the record and lock its vehicle. Returns None where the purchase has a record."""
        ...

    async def find_locked(self, order_id: UUID) -> Held | None: ...

    async def add_or_lock(self, tombstone: Reservation) -> Held | None:
        """Return the locked record, or None where `tombstone` was written as there was none."""
        ...

    async def save(self, held: Held) -> None:
        """Write the record's state and its vehicle's, in the order in which they are locked."""


class VehiclesUnitOfWork(Protocol):
    @property
    def vehicles(self) -> VehicleRepository: ...
    @property
    def reservations(self) -> ReservationRepository: ...

    def publish(self, *events: DomainEvent) -> None: ...
