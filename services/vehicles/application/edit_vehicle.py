from collections.abc import Mapping
from dataclasses import asdict
from typing import Any
from uuid import UUID

from services.vehicles.application.ports import Listing, VehiclesUnitOfWork
from services.vehicles.domain.papers import Papers
from services.vehicles.domain.vehicle import Details


async def edit_vehicle(
    uow: VehiclesUnitOfWork,
    *,
    tenant_id: str,
    vehicle_id: UUID,
    version: int,
    changes: Mapping[str, Any],
    this_year: int,
    acting_seller: str | None,
) -> Listing:
    """Change a vehicle. `changes` holds new values for fields of Details and Papers, by their
    names.

    Raises VehicleNotFound, NotYourVehicle, StaleVersion, Invalid, VehicleIsSold,
    VehicleIsWithdrawn, VehicleIsReserved, VehicleAlreadyListed.
    """
    listing = await uow.vehicles.lock(tenant_id, vehicle_id)
    vehicle = listing.vehicle
    vehicle.require_seller(acting_seller)
    vehicle.check_version(version)
    details = Details(**_changed(vehicle.details, changes)).checked(this_year=this_year)
    papers = Papers.checked(**_changed(listing.papers, changes), year=details.year)
    new_papers = papers != listing.papers
    event = vehicle.edit(details, new_papers=new_papers)
    if event is not None:
        await uow.vehicles.save(vehicle, papers if new_papers else None)
        uow.publish(event)
    return Listing(vehicle, papers)


def _changed(current: Details | Papers, changes: Mapping[str, Any]) -> dict[str, Any]:
    return {name: changes.get(name, value) for name, value in asdict(current).items()}
