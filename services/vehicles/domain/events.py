"""Vehicles publishes these events. None contains a plate, a chassis number or a RENAVAM."""

from dataclasses import dataclass
from typing import ClassVar
from uuid import UUID

from libs.kernel.events import Direction
from services.events import MarketEvent, PurchaseEvent


@dataclass(frozen=True, kw_only=True)
class VehicleReserved(PurchaseEvent):
    """The purchase holds the vehicle, whose price cannot change until it is sold or free again."""

    type: ClassVar[str] = "vehicle.reserved.v1"

    customer_id: UUID
    vehicle_id: UUID
    total_cents: int
    seller_id: UUID
    price_cents: int
    make: str
    model: str


@dataclass(frozen=True, kw_only=True)
class VehicleReservationFailed(PurchaseEvent):
    """`reason` is `vehicle_not_found`, `vehicle_not_for_sale` or `price_changed`."""

    type: ClassVar[str] = "vehicle.reservation_failed.v1"
    direction = Direction.COMPENSATION

    customer_id: UUID
    vehicle_id: UUID
    reason: str


@dataclass(frozen=True, kw_only=True)
class VehicleReleased(PurchaseEvent):
    """This purchase holds no vehicle any more and never will. `reason` says why it was released.

    `vehicle_id` is null where the release came before the reservation.
    """

    type: ClassVar[str] = "vehicle.released.v1"
    direction = Direction.COMPENSATION

    vehicle_id: UUID | None
    reason: str


@dataclass(frozen=True, kw_only=True)
class VehicleSold(PurchaseEvent):
    type: ClassVar[str] = "vehicle.sold.v1"

    vehicle_id: UUID
    seller_id: UUID
    total_cents: int


@dataclass(frozen=True, kw_only=True)
class VehicleSaleFailed(PurchaseEvent):
    """The vehicle is paid, but cannot be handed over. `reason` is `vehicle_withdrawn`."""

    type: ClassVar[str] = "vehicle.sale_failed.v1"
    direction = Direction.COMPENSATION

    vehicle_id: UUID
    reason: str


@dataclass(frozen=True, kw_only=True)
class VehicleEvent(MarketEvent):
    """The event is a fact about a vehicle, outside any purchase."""

    vehicle_id: UUID
    seller_id: UUID

    @property
    def subject(self) -> UUID:
        return self.vehicle_id


@dataclass(frozen=True, kw_only=True)
class VehicleListed(VehicleEvent):
    type: ClassVar[str] = "vehicle.listed.v1"

    make: str
    model: str
    year: int
    colour: str
    price_cents: int


@dataclass(frozen=True, kw_only=True)
class VehicleUpdated(VehicleEvent):
    """The vehicle was edited, or marked as sold by hand (`is_sold`). These are the new values."""

    type: ClassVar[str] = "vehicle.updated.v1"

    make: str
    model: str
    year: int
    colour: str
    price_cents: int
    is_sold: bool


@dataclass(frozen=True, kw_only=True)
class VehicleWithdrawn(VehicleEvent):
    type: ClassVar[str] = "vehicle.withdrawn.v1"
