"""Sellers list their vehicles, put one on the market, change it, and take it back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Self
from urllib.parse import urlencode
from uuid import UUID, uuid4

from fastapi import APIRouter, Form, Query, Request, Response
from starlette.datastructures import FormData

from libs.kernel.errors import NotFound
from services.portal.domain.amounts import is_plausible
from services.portal.domain.sale import Sale
from services.portal.domain.user import ADMIN, User
from services.portal.infrastructure.identity.sessions import Seller
from services.portal.infrastructure.language.i18n import marked
from services.portal.infrastructure.peers.client import PeerRefusal, Peers, PeerUnavailable
from services.portal.infrastructure.store.postgres import Store
from services.portal.infrastructure.web.auditing import Auditing
from services.portal.infrastructure.web.forms import NotANumber, amount_of, cents_of, number_of
from services.portal.infrastructure.web.pages.page import page_router
from services.portal.infrastructure.web.showroom import Vehicle
from services.portal.infrastructure.web.templating import Flash, redirect, render
from services.portal.infrastructure.web.wording import down_message, refusal_message

PAGE_SIZE = 24
NOTHING: Mapping[str, Any] = {"items": [], "next": None}
NOT_FOUND, PRECONDITION_FAILED, UNPROCESSABLE, UNAVAILABLE = 404, 412, 422, 503
RESERVED = "vehicle-reserved"
PLAIN = ("make", "model", "colour", "plate", "chassis_number", "renavam")
OURS = {"price_cents": "price"}
"""The form calls these fields by another name than the service does."""
FIELDS = (*PLAIN, "year", "price")

LISTED = Flash(marked("It is on the market."))
SAVED = Flash(marked("Saved."))
WITHDRAWN = Flash(marked("It is no longer for sale."))
HELD = Flash(
    marked("A purchase holds the vehicle just now. It can be withdrawn once that has ended."),
    "back",
)
NEEDED = marked("This field is required.")
MOVED_ON = marked(
    "The vehicle was changed in the meantime. Below each field stands what is saved now. Save again"
    " to keep what is in the fields."
)
UNREADABLE = marked("What is stored here cannot be read. Please write it again.")


class NoSuchVehicle(NotFound):
    code = "vehicle-not-found"
    text = "There is no such vehicle."


class Selling:
    def __init__(self, transactions: Store, peers: Peers, auditing: Auditing) -> None:
        self._transactions = transactions
        self._peers = peers
        self._auditing = auditing

    async def show_own(
        self, request: Request, user: Seller, after: Annotated[str | None, Query()] = None
    ) -> Response:
        found, down = NOTHING, []
        path = f"/sellers/{user.id}/vehicles"
        try:
            reply = await self._peers.get(user, "vehicles", path, limit=PAGE_SIZE, cursor=after)
            found = reply.body
        except PeerUnavailable as error:
            down = [error.service]
        except PeerRefusal as refusal:
            if refusal.status != NOT_FOUND:  # 404 means that there is none yet
                raise
        next_page = f"/sell?{urlencode({'after': found['next']})}" if found["next"] else None
        return render(
            request,
            "pages/sell.html",
            user,
            vehicles=[Vehicle.of(item) for item in found["items"]],
            down=down,
            next_page=next_page,
        )

    async def ask_new(self, request: Request, user: Seller) -> Response:
        return _form(request, user, Typed({}, {"key": str(uuid4())}), status=200)

    async def put_on_market(
        self,
        request: Request,
        user: Seller,
        key: Annotated[UUID, Form()],
        price_is: Annotated[str, Form(max_length=20)] = "",
    ) -> Response:
        """Put a vehicle on the market. A request that is sent twice with the same key makes one."""
        typed = Typed.of(await request.form(), {"key": str(key)})
        body = {**typed.vehicle, "seller_id": str(user.id)}
        if typed.errors:
            await self._check(user, typed, "POST", "/vehicles", body)
            return _form(request, user, typed)
        if typed.asks_about_price(price_is):
            return _form(request, user, typed, ask_price=True)
        token = f"{user.id}:{key}"
        sending = self._peers.send(user, "vehicles", "POST", "/vehicles", body, key=token)
        try:
            await self._auditing.audited(user, "vehicle.listed", str(key), sending)
        except (PeerRefusal, PeerUnavailable) as error:
            typed.refused(error)
            return _form(request, user, typed)
        return redirect("/sell", LISTED)

    async def ask_change(self, vehicle_id: UUID, request: Request, user: Seller) -> Response:
        vehicle, version = await self._own(user, vehicle_id)
        typed = Typed(shown(vehicle), {"version": version})
        typed.errors = {name: UNREADABLE for name in PLAIN if getattr(vehicle, name) is None}
        sale = await self._sale(user, vehicle)
        return _form(request, user, typed, vehicle=vehicle, sale=sale, status=200)

    async def change(
        self,
        vehicle_id: UUID,
        request: Request,
        user: Seller,
        version: Annotated[str, Form(max_length=40)],
        price_is: Annotated[str, Form(max_length=20)] = "",
    ) -> Response:
        """Change the vehicle. For an older version the form comes back with the input beside the
        current values, and is then based on the current version.
        """
        vehicle, _ = await self._own(user, vehicle_id)
        typed = Typed.of(await request.form(), {"version": version})
        path = f"/vehicles/{vehicle_id}"
        changes = {
            name: value for name, value in typed.vehicle.items() if value != getattr(vehicle, name)
        }
        if typed.errors:
            await self._check(user, typed, "PATCH", path, typed.vehicle, version)
            return _form(request, user, typed, vehicle=vehicle)
        if "price_cents" in changes and typed.asks_about_price(price_is):
            return _form(request, user, typed, vehicle=vehicle, ask_price=True)
        sending = self._peers.send(user, "vehicles", "PATCH", path, changes, version=version)
        try:
            await self._auditing.audited(user, "vehicle.changed", str(vehicle_id), sending)
        except (PeerRefusal, PeerUnavailable) as error:
            typed.refused(error)
            if typed.status == PRECONDITION_FAILED:
                vehicle, typed.about["version"] = await self._own(user, vehicle_id)
                typed.compare(vehicle)
            return _form(request, user, typed, vehicle=vehicle)
        return redirect("/sell", SAVED)

    async def withdraw(self, vehicle_id: UUID, user: Seller) -> Response:
        """Withdraw a vehicle only while no purchase holds it, whatever the user's roles. The
        version ensures this for an admin, whom `vehicles` would let undo the purchase.
        """
        vehicle, version = await self._own(user, vehicle_id)
        if vehicle.is_reserved:
            return redirect("/sell", HELD)
        path = f"/vehicles/{vehicle_id}/withdraw"
        sending = self._peers.send(user, "vehicles", "POST", path, version=version)
        flash = WITHDRAWN
        try:
            await self._auditing.audited(user, "vehicle.withdrawn", str(vehicle_id), sending)
        except PeerUnavailable as error:
            flash = Flash(down_message(error.service), "back")
        except PeerRefusal as error:
            flash = HELD if error.code == RESERVED else Flash(refusal_message(error), "back")
        return redirect("/sell", flash)

    async def _sale(self, user: User, vehicle: Vehicle) -> Sale | None:
        """Return the last purchase of the vehicle that led, or may still lead, to a sale."""
        if vehicle.for_sale or vehicle.withdrawn:
            return None
        found = await self._transactions.read(
            lambda uow: uow.timeline.page_sales(
                user.tenant_id,
                None,
                1,
                seller_id=UUID(vehicle.seller_id),
                vehicle_id=UUID(vehicle.id),
            )
        )
        return next(iter(found), None)

    async def _own(self, user: User, vehicle_id: UUID) -> tuple[Vehicle, str]:
        """Return the vehicle and its version. Raises NoSuchVehicle for another seller's vehicle."""
        found = await self._peers.get(user, "vehicles", f"/vehicles/{vehicle_id}")
        vehicle = Vehicle.of(found.body)
        if vehicle.seller_id != str(user.id) and not user.may(ADMIN):
            raise NoSuchVehicle
        return vehicle, found.version

    async def _check(
        self,
        user: User,
        typed: "Typed",
        method: str,
        path: str,
        body: Mapping[str, Any],
        version: str = "",
    ) -> None:
        """Add what the service finds wrong to the portal's own findings. It always refuses this
        body, because unreadable values are null in it.
        """
        try:
            await self._peers.send(user, "vehicles", method, path, body, version=version)
        except PeerRefusal as refusal:
            typed.refused(refusal)
        except PeerUnavailable:
            pass  # the portal's own findings are enough to go on with


def router(transactions: Store, peers: Peers, auditing: Auditing) -> APIRouter:
    routes, to = page_router(), Selling(transactions, peers, auditing)
    routes.get("/sell")(to.show_own)
    routes.get("/sell/new")(to.ask_new)
    routes.post("/sell/new")(to.put_on_market)
    routes.get("/sell/{vehicle_id}")(to.ask_change)
    routes.post("/sell/{vehicle_id}")(to.change)
    routes.post("/sell/{vehicle_id}/withdraw")(to.withdraw)
    return routes


@dataclass
class Typed:
    """This is a vehicle as the user typed it. `about` holds the form's hidden fields. `errors` says
    what is wrong with which field. `theirs` holds the service's current values of the fields that
    differ.
    """

    values: Mapping[str, str]
    about: dict[str, str]
    errors: dict[str, str] = field(default_factory=dict)
    theirs: Mapping[str, str] = field(default_factory=dict)
    down: Sequence[str] = ()
    status: int = UNPROCESSABLE

    @classmethod
    def of(cls, form: FormData, about: dict[str, str]) -> Self:
        values = {name: str(form.get(name, "")).strip()[:100] for name in FIELDS}
        typed = cls(values, about)
        typed.errors = {name: NEEDED for name, text in values.items() if not text}
        for name, read in (("year", number_of), ("price", cents_of)):
            try:
                read(values[name], name)
            except NotANumber as error:
                typed.errors[name] = str(error)
        return typed

    @property
    def vehicle(self) -> dict[str, Any]:
        """Return the vehicle in the form that the service accepts. Unreadable values are None."""
        good = {name: text for name, text in self.values.items() if name not in self.errors}
        year, price = good.get("year"), good.get("price")
        return {
            **{name: good.get(name) for name in PLAIN},
            "year": year and number_of(year, "year"),
            "price_cents": price and cents_of(price, "price"),
        }

    def asks_about_price(self, confirmed: str) -> bool:
        """Return whether to ask for a confirmation. `confirmed` is the price in cents, if any."""
        cents = self.vehicle["price_cents"]
        return not is_plausible(cents) and confirmed != str(cents)

    def refused(self, error: PeerRefusal | PeerUnavailable) -> None:
        """Add the service's errors. The portal's own stay: they are about the input, not a null."""
        if isinstance(error, PeerUnavailable):
            self.status, self.down = UNAVAILABLE, [error.service]
            return
        self.status = error.status
        found = {OURS.get(name, name): text for name, text in error.fields.items()}
        self.errors = found | self.errors

    def compare(self, vehicle: Vehicle) -> None:
        """Show the service's current values beside the user's input."""
        self.errors = {"": MOVED_ON}
        now, typed = shown(vehicle), self.vehicle
        same = {name for name in (*PLAIN, "year") if typed[name] == getattr(vehicle, name)}
        if typed["price_cents"] == vehicle.price_cents:
            same.add("price")
        self.theirs = {name: text for name, text in now.items() if name not in same and text}


def shown(vehicle: Vehicle) -> dict[str, str]:
    """Return the values as the form shows them."""
    values = {name: str(getattr(vehicle, name) or "") for name in (*PLAIN, "year")}
    return values | {"price": amount_of(vehicle.price_cents)}


def _form(
    request: Request,
    user: User,
    typed: Typed,
    *,
    vehicle: Vehicle | None = None,
    sale: Sale | None = None,
    ask_price: bool = False,
    status: int | None = None,
) -> Response:
    other = [text for name, text in typed.errors.items() if name not in FIELDS]
    errors = {name: text for name, text in typed.errors.items() if name in FIELDS}
    return render(
        request,
        "pages/sell_form.html",
        user,
        status=typed.status if status is None else status,
        values={**typed.values, **typed.about},
        errors=errors | ({"": other[0]} if other else {}),
        theirs=typed.theirs,
        price_cents=typed.vehicle["price_cents"] if ask_price else None,
        vehicle=vehicle,
        sale=sale,
        down=typed.down,
    )
