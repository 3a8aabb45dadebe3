from uuid import UUID

from services.vehicles.application.ports import Listing, VehiclesUnitOfWork
from services.vehicles.domain.papers import Papers
from services.vehicles.domain.vehicle import Details, Vehicle


async def list_vehicle(
    uow: VehiclesUnitOfWork,
    *,
    vehicle_id: UUID,
    tenant_id: str,
    seller_id: UUID,
    details: Details,
    papers: Papers,
    acting_seller: str | None,
) -> Listing:
    """Put a vehicle on the market. Raises NotYourVehicle, VehicleAlreadyListed."""
    vehicle = Vehicle(vehicle_id, tenant_id, seller_id, details)
    vehicle.require_seller(acting_seller)
    event = vehicle.list()
    await uow.vehicles.add(vehicle, papers)
    uow.publish(event)
    return Listing(vehicle, papers)
