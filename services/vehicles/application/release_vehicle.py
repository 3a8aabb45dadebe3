from uuid import UUID

from services.vehicles.application.ports import VehiclesUnitOfWork
from services.vehicles.domain.reservation import Reservation


async def release_vehicle(
    uow: VehiclesUnitOfWork, *, tenant_id: str, order_id: UUID, reason: str
) -> None:
    """Change RESERVED, SOLD, SALE_FAILED or no record to RELEASED, and no other state."""
    tombstone = Reservation.tombstone(order_id, tenant_id)
    held = await uow.reservations.add_or_lock(tombstone)
    if held is None:
        uow.publish(tombstone.released(reason))
        return
    reservation, vehicle = held.reservation, held.vehicle
    # Only a sold vehicle can be on the market a second time, so all others skip the look-up.
    listed_again = (
        vehicle is not None and vehicle.is_sold and await uow.vehicles.is_listed_again(vehicle)
    )
    event = reservation.release(vehicle, reason, listed_again=listed_again)
    if event is not None:
        await uow.reservations.save(held)
        uow.publish(event)
