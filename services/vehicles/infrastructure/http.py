"""Each endpoint parses, runs one use case and answers. `README.md` says who may call what."""

from collections.abc import Awaitable, Callable
from datetime import UTC
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from libs.kernel.clock import Clock, utc_now
from libs.kernel.ids import IdFactory, uuid7
from libs.messaging.outbox.unit_of_work import Transactions
from libs.runtime.auth import Caller, CallerDep
from libs.runtime.concurrency import IfMatchDep, OptionalIfMatchDep
from libs.runtime.declared import ETAG, LOCATION, answers
from libs.runtime.idempotency import Answer, Idempotency, IdempotentCallDep, respond
from libs.runtime.pagination import PageDep
from libs.runtime.routes import api_router
from services.vehicles.application.edit_vehicle import edit_vehicle
from services.vehicles.application.list_vehicle import list_vehicle
from services.vehicles.application.mark_vehicle_as_sold import mark_vehicle_as_sold
from services.vehicles.application.ports import Listing
from services.vehicles.application.withdraw_vehicle import withdraw_vehicle
from services.vehicles.domain.errors import SellerNotFound
from services.vehicles.domain.papers import sought_plate
from services.vehicles.infrastructure import access
from services.vehicles.infrastructure.postgres import PostgresVehiclesUnitOfWork
from services.vehicles.infrastructure.schemas import (
    CheckedVehicle,
    CheckedVehicles,
    Filters,
    MakesOut,
    NewVehicle,
    PlateSearch,
    VehicleChanges,
    VehicleOut,
    VehiclePage,
    VehiclesOut,
    VehiclesToCheck,
)
from services.vehicles.infrastructure.tables import IDEMPOTENCY

MOST_OF_A_PLATE = 20


class Endpoints:
    def __init__(
        self, transactions: Transactions[PostgresVehiclesUnitOfWork], clock: Clock, ids: IdFactory
    ) -> None:
        self._transactions = transactions
        self._idempotency = Idempotency(transactions, IDEMPOTENCY)
        self._clock = clock
        self._ids = ids

    @answers(ETAG, LOCATION)
    async def put_on_market(
        self, body: NewVehicle, caller: CallerDep, call: IdempotentCallDep
    ) -> Response:
        """Put a vehicle on the market. A seller lists the own ones, an admin anybody's."""
        caller.require(access.SELLER, access.ADMIN)
        details, papers = body.details.checked(this_year=self._this_year()), body.papers
        vehicle_id = self._ids()

        async def work(uow: PostgresVehiclesUnitOfWork) -> Answer:
            listing = await list_vehicle(
                uow,
                vehicle_id=vehicle_id,
                tenant_id=caller.tenant_id,
                seller_id=body.seller_id,
                details=details,
                papers=papers,
                acting_seller=access.acting_seller(caller),
            )
            # The answer is masked even for the sender, because it is stored to be replayed.
            out = VehicleOut.of(listing, in_full=False)
            return Answer(201, out, listing.vehicle.version, f"/vehicles/{vehicle_id}")

        return await self._idempotency.run(call, work)

    async def check(self, body: VehiclesToCheck, caller: CallerDep) -> CheckedVehicles:
        """Check the fields of each vehicle as `POST /vehicles` would. Nothing is put on the market,
        and no vehicle is compared with those on it.
        """
        caller.require(access.SELLER, access.ADMIN)
        return CheckedVehicles(vehicles=[CheckedVehicle.of(each) for each in body.vehicles])

    async def browse(
        self,
        filters: Annotated[Filters, Query()],
        caller: CallerDep,
        page: PageDep,
        request: Request,
    ) -> Response:
        """List vehicles that are for sale, or sold. Needs a token of the tenant and no role."""
        search = filters.search(caller.tenant_id)
        after = None if page.after is None else (int(page.after[0]), UUID(page.after[1]))
        found = await self._transactions.read(
            lambda uow: uow.vehicles.page(search, after, page.limit + 1)
        )
        shown = found[: page.limit]
        next_after = _position(shown[-1]) if len(found) > page.limit else None
        return page.answer([_out(listing, caller) for listing in shown], next_after, request)

    async def count_makes(
        self, filters: Annotated[Filters, Query()], caller: CallerDep
    ) -> MakesOut:
        """Count the vehicles of each make. Needs a token of the tenant and no role."""
        search = filters.search(caller.tenant_id)
        found = await self._transactions.read(lambda uow: uow.vehicles.makes(search))
        return MakesOut.of(found, search.make)

    async def list_of_seller(
        self, seller_id: UUID, caller: CallerDep, page: PageDep, request: Request
    ) -> Response:
        """List a seller's vehicles, sold and withdrawn ones too, newest first. Anybody but that
        seller gets 404 where there are none.
        """
        caller.require(access.SELLER, access.OPERATOR, access.ADMIN)
        own = caller.subject == str(seller_id)
        if not (own or caller.may(access.OPERATOR, access.ADMIN)):
            raise SellerNotFound
        after = None if page.after is None else UUID(page.after[0])
        found = await self._transactions.read(
            lambda uow: uow.vehicles.page_of_seller(
                caller.tenant_id, after, page.limit + 1, seller_id=seller_id
            )
        )
        if not (found or own or after):
            raise SellerNotFound
        shown = found[: page.limit]
        following = (shown[-1].vehicle.id,) if len(found) > page.limit else None
        return page.answer([_out(listing, caller) for listing in shown], following, request)

    async def search(self, body: PlateSearch, caller: CallerDep) -> VehiclesOut:
        """Find vehicles by the plate, in either spelling, also sold or withdrawn ones: at most
        twenty, newest first. Operator or admin.
        """
        caller.require(access.OPERATOR, access.ADMIN)
        plate = sought_plate(body.plate)
        found = await self._transactions.read(
            lambda uow: uow.vehicles.find_by_plate(caller.tenant_id, plate, MOST_OF_A_PLATE)
        )
        return VehiclesOut(items=[_out(listing, caller) for listing in found])

    @answers(ETAG)
    async def read(self, vehicle_id: UUID, caller: CallerDep) -> Response:
        """Return one vehicle. Needs a token of the tenant and no role."""
        listing = await self._transactions.read(
            lambda uow: uow.vehicles.get(caller.tenant_id, vehicle_id)
        )
        return _shown(listing, caller)

    @answers(ETAG)
    async def edit(
        self, vehicle_id: UUID, body: VehicleChanges, caller: CallerDep, version: IfMatchDep
    ) -> Response:
        """Change the fields in the body. While a purchase holds the vehicle only its colour may
        change.
        """
        caller.require(access.SELLER, access.ADMIN)
        return await self._answer(
            caller,
            lambda uow: edit_vehicle(
                uow,
                tenant_id=caller.tenant_id,
                vehicle_id=vehicle_id,
                version=version,
                changes=body.model_dump(exclude_unset=True),
                this_year=self._this_year(),
                acting_seller=access.acting_seller(caller),
            ),
        )

    @answers(ETAG)
    async def mark_as_sold(
        self, vehicle_id: UUID, caller: CallerDep, version: OptionalIfMatchDep
    ) -> Response:
        """Record that a vehicle was sold by hand, outside any purchase. Admin."""
        caller.require(access.ADMIN)
        return await self._answer(
            caller,
            lambda uow: mark_vehicle_as_sold(
                uow, tenant_id=caller.tenant_id, vehicle_id=vehicle_id, version=version
            ),
        )

    @answers(ETAG)
    async def withdraw(
        self, vehicle_id: UUID, caller: CallerDep, version: OptionalIfMatchDep
    ) -> Response:
        """Take a vehicle off the market for good. While a purchase holds it, its seller gets 409.
        An admin may always do it; a purchase that holds the vehicle then fails.
        """
        caller.require(access.SELLER, access.ADMIN)
        return await self._answer(
            caller,
            lambda uow: withdraw_vehicle(
                uow,
                tenant_id=caller.tenant_id,
                vehicle_id=vehicle_id,
                version=version,
                acting_seller=access.acting_seller(caller),
            ),
        )

    async def _answer(
        self, caller: Caller, work: Callable[[PostgresVehiclesUnitOfWork], Awaitable[Listing]]
    ) -> Response:
        return _shown(await self._transactions.run(work), caller)

    def _this_year(self) -> int:
        return self._clock().astimezone(UTC).year


def router(
    transactions: Transactions[PostgresVehiclesUnitOfWork],
    *,
    clock: Clock = utc_now,
    ids: IdFactory = uuid7,
) -> APIRouter:
    routes, to = api_router(tags=["vehicles"]), Endpoints(transactions, clock, ids)
    routes.post(
        "/vehicles",
        status_code=201,
        response_model=VehicleOut,
        operation_id="list_vehicle_for_sale",
    )(to.put_on_market)
    routes.post("/vehicles/checks", response_model=CheckedVehicles, operation_id="check_vehicles")(
        to.check
    )
    routes.get("/vehicles", response_model=VehiclePage, operation_id="list_vehicles")(to.browse)
    routes.get("/makes", response_model=MakesOut, operation_id="count_makes")(to.count_makes)
    routes.get(
        "/sellers/{seller_id}/vehicles",
        response_model=VehiclePage,
        operation_id="list_vehicles_of_seller",
    )(to.list_of_seller)
    routes.post("/vehicles/search", response_model=VehiclesOut, operation_id="search_vehicles")(
        to.search
    )
    one = "/vehicles/{vehicle_id}"
    routes.get(one, response_model=VehicleOut, operation_id="get_vehicle")(to.read)
    routes.patch(one, response_model=VehicleOut, operation_id="change_vehicle")(to.edit)
    routes.patch(
        f"{one}/mark_as_sold", response_model=VehicleOut, operation_id="mark_vehicle_as_sold"
    )(to.mark_as_sold)
    routes.post(f"{one}/withdraw", response_model=VehicleOut, operation_id="withdraw_vehicle")(
        to.withdraw
    )
    return routes


def _position(listing: Listing) -> tuple[int, UUID]:
    return listing.vehicle.details.price_cents, listing.vehicle.id


def _shown(listing: Listing, caller: Caller) -> Response:
    return respond(Answer(200, _out(listing, caller), listing.vehicle.version))


def _out(listing: Listing, caller: Caller) -> VehicleOut:
    in_full = access.may_read_in_full(caller, listing.vehicle.seller_id)
    return VehicleOut.of(listing, in_full=in_full)
