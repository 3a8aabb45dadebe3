"""A seller's vehicles: the list, putting one on the market, changing it, taking it back."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any
from uuid import UUID, uuid4

from fastapi import APIRouter, Form, Query, Request, Response

from libs.kernel.errors import NotFound
from libs.messaging.outbox.unit_of_work import Transactions
from services.portal.domain.user import ADMIN, SELLER, User
from services.portal.infrastructure.forms import NotANumber, amount_of, cents_of, number_of
from services.portal.infrastructure.i18n import marked
from services.portal.infrastructure.pages.diary import Diary
from services.portal.infrastructure.pages.page import page_router
from services.portal.infrastructure.peers import PeerRefusal, Peers, PeerUnavailable, Reply
from services.portal.infrastructure.postgres import PortalUnitOfWork
from services.portal.infrastructure.sessions import require_roles
from services.portal.infrastructure.showroom import Vehicle
from services.portal.infrastructure.templating import Flash, redirect, render
from services.portal.infrastructure.wording import down_message, refusal_message

Seller = Annotated[User, require_roles(SELLER, ADMIN)]
Text = Annotated[str, Form(max_length=100)]
PAGE_SIZE = 24
SIDE_BY_SIDE = 6
RESERVED = "vehicle-reserved"
PLAIN = ("make", "model", "colour", "plate", "chassis_number", "renavam")

LISTED = Flash(marked("It is on the market."))
SAVED = Flash(marked("Saved."))
WITHDRAWN = Flash(marked("It is no longer for sale."))
HELD = Flash(
    marked("A purchase holds the vehicle just now. It can be withdrawn once that has ended."),
    "back",
)
NEEDED = marked("This field is required.")
UNREADABLE = marked("What is stored here cannot be read. Please write it again.")


class NoSuchVehicle(NotFound):
    code = "vehicle-not-found"


class Selling:
    def __init__(
        self, transactions: Transactions[PortalUnitOfWork], peers: Peers, diary: Diary
    ) -> None:
        self._transactions = transactions
        self._peers = peers
        self._diary = diary

    async def show_own(
        self, request: Request, user: Seller, after: Annotated[UUID | None, Query()] = None
    ) -> Response:
        ids = await self._transactions.run(
            lambda uow: uow.timeline.vehicles_of(user.tenant_id, user.id, after, PAGE_SIZE + 1)
        )
        shown, down = ids[:PAGE_SIZE], []
        replies = await self._all(user, shown)
        if any(reply is None for reply in replies):
            down = ["vehicles"]
        return render(
            request,
            "sell.html",
            user,
            vehicles=[Vehicle.of(reply.body) for reply in replies if reply],
            down=down,
            next_page=f"/sell?after={shown[-1]}" if len(ids) > PAGE_SIZE else None,
        )

    async def ask_new(self, request: Request, user: Seller) -> Response:
        return _form(request, user, {"key": str(uuid4())}, {})

    async def put_on_market(
        self, request: Request, user: Seller, key: Annotated[UUID, Form()]
    ) -> Response:
        """Sent twice with the same key it is one vehicle."""
        values = await _typed(request)
        path, kept = "/vehicles", {**values, "key": str(key)}

        async def deed() -> Reply:
            body = {**_vehicle(values), "seller_id": str(user.id)}
            token = f"{user.id}:{key}"
            return await self._peers.send(user, "vehicles", "POST", path, body, key=token)

        try:
            _check_complete(values)
            await self._diary.note(user, "vehicle.listed", str(key), deed)
        except (NotANumber, PeerRefusal, PeerUnavailable) as error:
            return _again(request, user, kept, error)
        return redirect("/sell", LISTED)

    async def ask_change(self, vehicle_id: UUID, request: Request, user: Seller) -> Response:
        vehicle, version = await self._own(user, vehicle_id)
        values = {name: str(getattr(vehicle, name) or "") for name in (*PLAIN, "year")}
        values |= {"price": amount_of(vehicle.price_cents), "version": version}
        lost = {name: UNREADABLE for name in PLAIN if getattr(vehicle, name) is None}
        return _form(request, user, values, lost, vehicle=vehicle)

    async def change(
        self,
        vehicle_id: UUID,
        request: Request,
        user: Seller,
        version: Annotated[str, Form(max_length=40)],
    ) -> Response:
        vehicle, _ = await self._own(user, vehicle_id)
        values = await _typed(request)

        async def deed() -> Reply:
            wanted = _vehicle(values)
            changes = {
                name: value for name, value in wanted.items() if value != getattr(vehicle, name)
            }
            path = f"/vehicles/{vehicle_id}"
            return await self._peers.send(user, "vehicles", "PATCH", path, changes, version=version)

        try:
            _check_complete(values)
            await self._diary.note(user, "vehicle.changed", str(vehicle_id), deed)
        except (NotANumber, PeerRefusal, PeerUnavailable) as error:
            return _again(request, user, {**values, "version": version}, error, vehicle)
        return redirect("/sell", SAVED)

    async def withdraw(self, vehicle_id: UUID, user: Seller) -> Response:
        """While a purchase holds it, no vehicle is withdrawn here, whatever the user's roles. The
        version sees to it for an admin, whom `vehicles` would let undo the purchase.
        """
        vehicle, version = await self._own(user, vehicle_id)
        if vehicle.is_reserved:
            return redirect("/sell", HELD)

        def deed() -> Any:
            path = f"/vehicles/{vehicle_id}/withdraw"
            return self._peers.send(user, "vehicles", "POST", path, version=version)

        flash = WITHDRAWN
        try:
            await self._diary.note(user, "vehicle.withdrawn", str(vehicle_id), deed)
        except PeerUnavailable as error:
            flash = Flash(down_message(error.service), "back")
        except PeerRefusal as error:
            flash = HELD if error.code == RESERVED else Flash(refusal_message(error), "back")
        return redirect("/sell", flash)

    async def _own(self, user: User, vehicle_id: UUID) -> tuple[Vehicle, str]:
        """The vehicle and its version. Raises NoSuchVehicle for another seller's."""
        found = await self._peers.get(user, "vehicles", f"/vehicles/{vehicle_id}")
        vehicle = Vehicle.of(found.body)
        if vehicle.seller_id != str(user.id) and not user.may(ADMIN):
            raise NoSuchVehicle("no such vehicle")
        return vehicle, found.version

    async def _all(self, user: User, ids: list[UUID]) -> list[Reply | None]:
        places = asyncio.Semaphore(SIDE_BY_SIDE)

        async def one(vehicle_id: UUID) -> Reply | None:
            async with places:
                return await self._peers.try_get(user, "vehicles", f"/vehicles/{vehicle_id}")

        return list(await asyncio.gather(*map(one, ids)))


def router(transactions: Transactions[PortalUnitOfWork], peers: Peers, diary: Diary) -> APIRouter:
    routes, to = page_router(), Selling(transactions, peers, diary)
    routes.get("/sell")(to.show_own)
    routes.get("/sell/new")(to.ask_new)
    routes.post("/sell/new")(to.put_on_market)
    routes.get("/sell/{vehicle_id}")(to.ask_change)
    routes.post("/sell/{vehicle_id}")(to.change)
    routes.post("/sell/{vehicle_id}/withdraw")(to.withdraw)
    return routes


async def _typed(request: Request) -> dict[str, str]:
    form = await request.form()
    return {name: str(form.get(name, "")).strip()[:100] for name in (*PLAIN, "year", "price")}


def _check_complete(values: Mapping[str, str]) -> None:
    """Raises NotANumber for the first field left empty or not readable."""
    for name, text in values.items():
        if not text:
            raise NotANumber(NEEDED, name)
    _vehicle(values)


def _vehicle(values: Mapping[str, str]) -> dict[str, Any]:
    """As the service takes it. Raises NotANumber."""
    plain: dict[str, Any] = {name: values[name] for name in PLAIN}
    year, price = number_of(values["year"], "year"), cents_of(values["price"], "price")
    return {**plain, "year": year, "price_cents": price}


def _again(
    request: Request,
    user: User,
    values: Mapping[str, str],
    error: NotANumber | PeerRefusal | PeerUnavailable,
    vehicle: Vehicle | None = None,
) -> Response:
    """The form as it was typed, with what is wrong."""
    match error:
        case NotANumber(field=field):
            return _form(request, user, values, {field: str(error)}, vehicle=vehicle, status=422)
        case PeerUnavailable(service=service):
            return _form(request, user, values, {}, vehicle=vehicle, status=503, down=[service])
        case PeerRefusal(fields=fields, status=status):
            errors = {"price" if name == "price_cents" else name: fields[name] for name in fields}
            return _form(request, user, values, errors, vehicle=vehicle, status=status)


def _form(
    request: Request,
    user: User,
    values: Mapping[str, str],
    errors: Mapping[str, str],
    *,
    vehicle: Vehicle | None = None,
    status: int = 200,
    down: list[str] | None = None,
) -> Response:
    known = {*PLAIN, "year", "price"}
    whole = {name: text for name, text in errors.items() if name in known}
    other = [text for name, text in errors.items() if name not in known]
    return render(
        request,
        "sell_form.html",
        user,
        status=status,
        values=values,
        errors=whole | ({"": other[0]} if other else {}),
        vehicle=vehicle,
        down=down or [],
    )
