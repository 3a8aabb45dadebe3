from uuid import UUID

from services.vehicles.application.ports import Listing, VehiclesUnitOfWork


async def withdraw_vehicle(
    uow: VehiclesUnitOfWork,
    *,
    tenant_id: str,
    vehicle_id: UUID,
    version: int | None,
    acting_seller: str | None,
) -> Listing:
    """Take a vehicle off the market for good. When an admin does it (`acting_seller` is None), a
    purchase that holds the vehicle fails at its sale.

    Raises VehicleNotFound, NotYourVehicle, VehicleIsSold, VehicleIsWithdrawn, VehicleIsReserved,
    StaleVersion.
    """
    listing = await uow.vehicles.lock(tenant_id, vehicle_id)
    event = listing.vehicle.withdraw(acting_seller, version)
    await uow.vehicles.save(listing.vehicle)
    uow.publish(event)
    return listing
