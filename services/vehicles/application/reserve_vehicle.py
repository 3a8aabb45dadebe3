from services.vehicles.application.ports import VehiclesUnitOfWork
from services.vehicles.domain.reservation import Purchase, Reservation


async def reserve_vehicle(uow: VehiclesUnitOfWork, *, purchase: Purchase) -> None:
    """Write a record that is RESERVED or REFUSED. Any record, a tombstone too, does not change."""
    held = await uow.reservations.open(Reservation.asked_for(purchase))
    if held is None:
        return
    uow.publish(held.reservation.decide(purchase, held.vehicle))
    if held.reservation.is_holding:
        await uow.reservations.save(held)
