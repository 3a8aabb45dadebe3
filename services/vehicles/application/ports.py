"""What the use cases need from outside. Postgres implements all of it."""

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
    """A vehicle with its unmasked papers. Mask them before they leave the service."""

    vehicle: Vehicle
    papers: Papers


@dataclass(frozen=True)
class Search:
    """Which vehicles of a tenant, by price. Make and model match whole, in any case. Each of
    `words` (see `words_of`) stands somewhere in the make, model, colour or year.
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
    """`make` in its most frequent spelling."""

    make: str
    count: int


@dataclass(frozen=True)
class Held:
    """A record with its vehicle, both locked. The vehicle is None for a tombstone or where it is
    unknown.
    """

    reservation: Reservation
    vehicle: Vehicle | None


class VehicleRepository(Protocol):
    async def add(self, vehicle: Vehicle, papers: Papers) -> None:
        """Raises VehicleAlreadyListed."""

    async def get(self, tenant_id: str, vehicle_id: UUID) -> Listing:
        """Raises VehicleNotFound."""
        ...

    async def lock(self, tenant_id: str, vehicle_id: UUID) -> Listing:
        """Like `get`, and nobody else writes it until the transaction ends."""
        ...

    async def save(self, vehicle: Vehicle, papers: Papers | None = None) -> None:
        """Without `papers` the stored ones stay. Raises VehicleAlreadyListed."""

    async def page(
        self, search: Search, after: tuple[int, UUID] | None, limit: int
    ) -> Sequence[Listing]:
        """At most `limit` vehicles: those after `after`, in the order of (price_cents, id)."""
        ...

    async def makes(self, search: Search) -> Sequence[MakeCount]:
        """How many vehicles of each make there are, ordered by name. The make searched for does not
        limit it.
        """
        ...

    async def page_of_seller(
        self, tenant_id: str, after: UUID | None, limit: int, *, seller_id: UUID
    ) -> Sequence[Listing]:
        """At most `limit` of a seller's vehicles, on the market or not, newest first."""
        ...

    async def is_listed_again(self, vehicle: Vehicle) -> bool:
        """Whether another vehicle on the market carries one of the papers of this one."""
        ...


class ReservationRepository(Protocol):
    async def open(self, reservation: Reservation) -> Held | None:
        """Write the record and lock its vehicle. Returns None where the purchase has a record
        already.
        """
        ...

    async def find_locked(self, order_id: UUID) -> Held | None: ...

    async def add_or_lock(self, tombstone: Reservation) -> Held | None:
        """None where `tombstone` was written, because the purchase had no record."""
        ...

    async def save(self, held: Held) -> None:
        """Write the record's state and its vehicle's, in the order in which they are locked."""


class VehiclesUnitOfWork(Protocol):
    @property
    def vehicles(self) -> VehicleRepository: ...
    @property
    def reservations(self) -> ReservationRepository: ...

    def publish(self, *events: DomainEvent) -> None: ...
