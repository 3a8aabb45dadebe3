"""Each purchase has one record in this service, whose primary key is the order's id."""

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID

from services.vehicles.domain.events import (
    VehicleReleased,
    VehicleReservationFailed,
    VehicleReserved,
    VehicleSaleFailed,
    VehicleSold,
)
from services.vehicles.domain.vehicle import Vehicle


class State(StrEnum):
    RESERVED = "RESERVED"
    REFUSED = "REFUSED"
    RELEASED = "RELEASED"
    SOLD = "SOLD"
    SALE_FAILED = "SALE_FAILED"


HOLDING = (State.RESERVED, State.SOLD)
"""At most one record of a vehicle is in one of these states."""


@dataclass(frozen=True)
class Purchase:
    """A purchase requests a vehicle at this price, in cents."""

    order_id: UUID
    tenant_id: str
    customer_id: UUID
    vehicle_id: UUID
    price_cents: int


@dataclass
class Reservation:
    """A tombstone records an early release. Its `vehicle_id` and `customer_id` are None."""

    order_id: UUID
    tenant_id: str
    vehicle_id: UUID | None
    customer_id: UUID | None
    state: State
    sequence: int = 1

    @classmethod
    def asked_for(cls, purchase: Purchase) -> "Reservation":
        """Return a record that holds nothing until `decide` finds the vehicle available."""
        return cls(
            purchase.order_id,
            purchase.tenant_id,
            purchase.vehicle_id,
            purchase.customer_id,
            State.REFUSED,
        )

    @classmethod
    def tombstone(cls, order_id: UUID, tenant_id: str) -> "Reservation":
        """Return the record of an early release, with which a late reservation does nothing."""
        return cls(order_id, tenant_id, None, None, State.RELEASED)

    @property
    def is_holding(self) -> bool:
        return self.state in HOLDING

    def decide(
        self, purchase: Purchase, vehicle: Vehicle | None
    ) -> VehicleReserved | VehicleReservationFailed:
        """Become RESERVED or REFUSED. `vehicle` is None where the tenant has no such vehicle."""
        if vehicle is None:
            return self._refused(purchase, "vehicle_not_found")
        if not vehicle.is_for_sale:
            return self._refused(purchase, "vehicle_not_for_sale")
        if vehicle.details.price_cents != purchase.price_cents:
            return self._refused(purchase, "price_changed")
        self.state = State.RESERVED
        vehicle.reserve()
        return VehicleReserved(
            tenant_id=self.tenant_id,
            sequence=self.sequence,
            order_id=self.order_id,
            customer_id=purchase.customer_id,
            vehicle_id=vehicle.id,
            total_cents=purchase.price_cents,
            seller_id=vehicle.seller_id,
            price_cents=vehicle.details.price_cents,
            make=vehicle.details.make,
            model=vehicle.details.model,
        )

    def sell(self, vehicle: Vehicle | None) -> VehicleSold | VehicleSaleFailed | None:
        """Change RESERVED to SOLD, or to SALE_FAILED where the vehicle was withdrawn.

        A payment without a record cannot exist, because this record's `vehicle.reserved` causes it.
        """
        if self.state is not State.RESERVED or vehicle is None:
            return None
        self.sequence += 1
        if vehicle.withdrawn:
            self.state = State.SALE_FAILED
            vehicle.let_go(listed_again=False)
            return VehicleSaleFailed(
                tenant_id=self.tenant_id,
                sequence=self.sequence,
                order_id=self.order_id,
                vehicle_id=vehicle.id,
                reason="vehicle_withdrawn",
            )
        self.state = State.SOLD
        vehicle.sell()
        return VehicleSold(
            tenant_id=self.tenant_id,
            sequence=self.sequence,
            order_id=self.order_id,
            vehicle_id=vehicle.id,
            seller_id=vehicle.seller_id,
            total_cents=vehicle.details.price_cents,
        )

    def release(
        self, vehicle: Vehicle | None, reason: str, *, listed_again: bool
    ) -> VehicleReleased | None:
        """Change RESERVED, SOLD or SALE_FAILED to RELEASED. Any other state does not change."""
        if self.state in (State.REFUSED, State.RELEASED):
            return None
        if vehicle is not None and self.is_holding:
            vehicle.let_go(listed_again=listed_again)
        self.state = State.RELEASED
        self.sequence += 1
        return self.released(reason)

    def released(self, reason: str) -> VehicleReleased:
        """Return the event of a RELEASED record, and of a tombstone when it is written."""
        return VehicleReleased(
            tenant_id=self.tenant_id,
            sequence=self.sequence,
            order_id=self.order_id,
            vehicle_id=self.vehicle_id,
            reason=reason,
        )

    def _refused(self, purchase: Purchase, reason: str) -> VehicleReservationFailed:
        return VehicleReservationFailed(
            tenant_id=self.tenant_id,
            sequence=self.sequence,
            order_id=self.order_id,
            customer_id=purchase.customer_id,
            vehicle_id=purchase.vehicle_id,
            reason=reason,
        )
