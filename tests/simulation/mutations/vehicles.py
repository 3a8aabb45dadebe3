"""Breaks rules of the vehicles."""

from contextlib import AbstractContextManager
from dataclasses import replace
from typing import Any
from unittest.mock import patch
from uuid import UUID

from services.vehicles.application.release_vehicle import release_vehicle
from services.vehicles.domain.reservation import Reservation
from services.vehicles.domain.reservation import State as VehicleState
from services.vehicles.domain.vehicle import Vehicle
from services.vehicles.infrastructure import consumers as vehicles
from tests.simulation.mutations.registry import mutation


@mutation("releasing a vehicle leaves no tombstone")
def no_tombstone_of_vehicle() -> AbstractContextManager[object]:
    rightly = release_vehicle

    async def forgetful(uow: Any, *, tenant_id: str, order_id: UUID, reason: str) -> None:
        if order_id in uow.reservations.by_order:
            await rightly(uow, tenant_id=tenant_id, order_id=order_id, reason=reason)
        else:
            uow.publish(Reservation.tombstone(order_id, tenant_id).released(reason))

    return patch.object(vehicles, "release_vehicle", forgetful)


@mutation("a vehicle is let go by a purchase that does not hold it")
def released_without_check() -> AbstractContextManager[object]:
    rightly = Reservation.release

    def careless(self: Reservation, vehicle: Vehicle | None, reason: str, **how: Any) -> Any:
        if vehicle is not None:
            self.state = VehicleState.SALE_FAILED
            vehicle.let_go(listed_again=False)
        return rightly(self, vehicle, reason, **how)

    return patch.object(Reservation, "release", careless)


@mutation("a vehicle is reserved though another purchase has it")
def reserved_twice() -> AbstractContextManager[object]:
    on_market = property(lambda self: not self.withdrawn)
    return patch.object(Vehicle, "is_for_sale", on_market)


@mutation("a vehicle is reserved at any price")
def any_price() -> AbstractContextManager[object]:
    rightly = Reservation.decide

    def careless(self: Reservation, purchase: Any, vehicle: Vehicle | None) -> Any:
        if vehicle is not None:
            purchase = replace(purchase, price_cents=vehicle.details.price_cents)
        return rightly(self, purchase, vehicle)

    return patch.object(Reservation, "decide", careless)


@mutation("an expired payment does not release the vehicle")
def expiry_ignored() -> AbstractContextManager[object]:
    rightly = release_vehicle

    async def deaf(uow: Any, *, tenant_id: str, order_id: UUID, reason: str) -> None:
        if reason != "payment_expired":
            await rightly(uow, tenant_id=tenant_id, order_id=order_id, reason=reason)

    return patch.object(vehicles, "release_vehicle", deaf)


@mutation("a vehicle is sold though it was withdrawn")
def withdrawn_and_sold() -> AbstractContextManager[object]:
    rightly = Reservation.sell

    def careless(self: Reservation, vehicle: Vehicle | None) -> Any:
        if vehicle is None or not vehicle.withdrawn:
            return rightly(self, vehicle)
        vehicle.withdrawn = False
        event = rightly(self, vehicle)
        vehicle.withdrawn = True
        return event

    return patch.object(Reservation, "sell", careless)


@mutation("a sale is kept when its payment goes back")
def sale_not_undone() -> AbstractContextManager[object]:
    rightly = Reservation.release

    def stubborn(self: Reservation, vehicle: Vehicle | None, reason: str, **how: Any) -> Any:
        return None if self.state == "SOLD" else rightly(self, vehicle, reason, **how)

    return patch.object(Reservation, "release", stubborn)


@mutation("a payment after its refund sells the released vehicle")
def sold_after_release() -> AbstractContextManager[object]:
    rightly = Reservation.sell

    def careless(self: Reservation, vehicle: Vehicle | None) -> Any:
        if self.state is VehicleState.RELEASED:
            self.state = VehicleState.RESERVED
        return rightly(self, vehicle)

    return patch.object(Reservation, "sell", careless)


@mutation("a failed sale is not released")
def failed_sale_kept() -> AbstractContextManager[object]:
    rightly = Reservation.release

    def stubborn(self: Reservation, vehicle: Vehicle | None, reason: str, **how: Any) -> Any:
        failed = self.state is VehicleState.SALE_FAILED
        return None if failed else rightly(self, vehicle, reason, **how)

    return patch.object(Reservation, "release", stubborn)
