from uuid import UUID

from services.vehicles.application.ports import VehiclesUnitOfWork


async def sell_vehicle(uow: VehiclesUnitOfWork, *, order_id: UUID) -> None:
    """Change a RESERVED record to SOLD, or to SALE_FAILED where the vehicle was withdrawn."""
    held = await uow.reservations.find_locked(order_id)
    if held is None:
        return
    event = held.reservation.sell(held.vehicle)
    if event is not None:
        await uow.reservations.save(held)
        uow.publish(event)
