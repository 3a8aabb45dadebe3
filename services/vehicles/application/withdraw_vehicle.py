from uuid import UUID

from services.vehicles.application.ports import Listing, VehiclesUnitOfWork


async def withdraw_vehicle(
    uow: VehiclesUnitOfWork, *, tenant_id: str, vehicle_id: UUID, version: int | None
) -> Listing:
    """Take a vehicle off the market for good; a purchase that holds it will fail at its sale.

    Raises VehicleNotFound, StaleVersion, VehicleIsSold, VehicleIsWithdrawn.
    """
    listing = await uow.vehicles.lock(tenant_id, vehicle_id)
    listing.vehicle.require_version(version)
    event = listing.vehicle.withdraw()
    await uow.vehicles.save(listing.vehicle)
    uow.publish(event)
    return listing
