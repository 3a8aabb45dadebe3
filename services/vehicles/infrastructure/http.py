"""The endpoints of vehicles: parse, call the use case, answer."""

from datetime import UTC
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from libs.kernel.clock import Clock, utc_now
from libs.kernel.ids import IdFactory, uuid7
from libs.messaging.unit_of_work import Transactions
from libs.runtime.auth import Caller, CallerDep
from libs.runtime.concurrency import IfMatchDep, OptionalIfMatchDep
from libs.runtime.idempotency import Answer, Idempotency, IdempotentCallDep, respond
from libs.runtime.pagination import PageDep
from services.vehicles.application.edit_vehicle import edit_vehicle
from services.vehicles.application.list_vehicle import list_vehicle
from services.vehicles.application.mark_vehicle_as_sold import mark_vehicle_as_sold
from services.vehicles.application.ports import Listing
from services.vehicles.application.withdraw_vehicle import withdraw_vehicle
from services.vehicles.infrastructure.postgres import VehiclesUnitOfWork
from services.vehicles.infrastructure.schemas import (
    Filters,
    NewVehicle,
    VehicleChanges,
    VehicleOut,
    VehiclePage,
)
from services.vehicles.infrastructure.tables import idempotency_keys

ANYONE = ("buyer", "seller", "operator", "admin")


def router(
    transactions: Transactions[VehiclesUnitOfWork],
    *,
    clock: Clock = utc_now,
    ids: IdFactory = uuid7,
) -> APIRouter:
    api = APIRouter(prefix="/vehicles", tags=["vehicles"])
    idempotency = Idempotency(transactions, idempotency_keys)

    @api.post("", status_code=201, response_model=VehicleOut)
    async def post(body: NewVehicle, caller: CallerDep, call: IdempotentCallDep) -> Response:
        caller.require("seller", "admin")
        details, papers, vehicle_id = (
            body.details.checked(this_year=_year(clock)),
            body.papers,
            ids(),
        )

        async def work(uow: VehiclesUnitOfWork) -> Answer:
            listing = await list_vehicle(
                uow,
                vehicle_id=vehicle_id,
                tenant_id=caller.tenant_id,
                seller_id=body.seller_id,
                details=details,
                papers=papers,
                acting_seller=_acting_seller(caller),
            )
            # Masked even for who sent them: this answer is kept to be replayed.
            out = VehicleOut.of(listing, in_full=False)
            return Answer(201, out, listing.vehicle.version, f"/vehicles/{vehicle_id}")

        return await idempotency.run(call, work)

    @api.get("", response_model=VehiclePage)
    async def get_page(
        filters: Annotated[Filters, Query()], caller: CallerDep, page: PageDep, request: Request
    ) -> Response:
        caller.require(*ANYONE)
        search = filters.search(caller.tenant_id)
        after = None if page.after is None else (int(page.after[0]), UUID(page.after[1]))
        found = await transactions.run(
            lambda uow: uow.vehicles.search(search, after=after, limit=page.limit + 1)
        )
        shown = found[: page.limit]
        next_after = _position(shown[-1]) if len(found) > page.limit else None
        return page.answer([_out(listing, caller) for listing in shown], next_after, request)

    @api.get("/{vehicle_id}", response_model=VehicleOut)
    async def get(vehicle_id: UUID, caller: CallerDep) -> Response:
        caller.require(*ANYONE)
        return _answer(
            await transactions.run(lambda uow: uow.vehicles.find(caller.tenant_id, vehicle_id)),
            caller,
        )

    @api.patch("/{vehicle_id}", response_model=VehicleOut)
    async def patch(
        vehicle_id: UUID, body: VehicleChanges, caller: CallerDep, version: IfMatchDep
    ) -> Response:
        caller.require("seller", "admin")

        async def work(uow: VehiclesUnitOfWork) -> Listing:
            return await edit_vehicle(
                uow,
                tenant_id=caller.tenant_id,
                vehicle_id=vehicle_id,
                version=version,
                changes=body.model_dump(exclude_unset=True),
                this_year=_year(clock),
                acting_seller=_acting_seller(caller),
            )

        return _answer(await transactions.run(work), caller)

    @api.patch("/{vehicle_id}/mark_as_sold", response_model=VehicleOut)
    async def mark_as_sold(
        vehicle_id: UUID, caller: CallerDep, version: OptionalIfMatchDep
    ) -> Response:
        caller.require("admin")

        async def work(uow: VehiclesUnitOfWork) -> Listing:
            return await mark_vehicle_as_sold(
                uow, tenant_id=caller.tenant_id, vehicle_id=vehicle_id, version=version
            )

        return _answer(await transactions.run(work), caller)

    @api.post("/{vehicle_id}/withdraw", response_model=VehicleOut)
    async def withdraw(
        vehicle_id: UUID, caller: CallerDep, version: OptionalIfMatchDep
    ) -> Response:
        caller.require("admin")

        async def work(uow: VehiclesUnitOfWork) -> Listing:
            return await withdraw_vehicle(
                uow, tenant_id=caller.tenant_id, vehicle_id=vehicle_id, version=version
            )

        return _answer(await transactions.run(work), caller)

    return api


def _position(listing: Listing) -> tuple[int, UUID]:
    return listing.vehicle.details.price_cents, listing.vehicle.id


def _acting_seller(caller: Caller) -> str | None:
    """The one seller this caller acts for; None: an admin, who acts for all."""
    return None if caller.may("admin") else caller.subject


def _out(listing: Listing, caller: Caller) -> VehicleOut:
    owns = caller.may("seller") and caller.subject == str(listing.vehicle.seller_id)
    return VehicleOut.of(listing, in_full=owns or caller.may("admin"))


def _answer(listing: Listing, caller: Caller) -> Response:
    return respond(Answer(200, _out(listing, caller), listing.vehicle.version))


def _year(clock: Clock) -> int:
    return clock().astimezone(UTC).year
