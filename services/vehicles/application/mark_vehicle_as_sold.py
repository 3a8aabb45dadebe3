from uuid import UUID

from services.vehicles.application.ports import Listing, VehiclesUnitOfWork


async def mark_vehicle_as_sold(
    uow: VehiclesUnitOfWork, *, tenant_id: str, vehicle_id: UUID, version: int | None
) -> Listing:
    """Record that a vehicle was sold by hand. Such a sale belongs to no order.

    Raises VehicleNotFound, StaleVersion, VehicleIsReserved, VehicleIsSold, VehicleIsWithdrawn.
    """
    listing = await uow.vehicles.lock(tenant_id, vehicle_id)
    listing.vehicle.check_version(version)
    event = listing.vehicle.mark_as_sold()
    await uow.vehicles.save(listing.vehicle)
    uow.publish(event)
    return listing
