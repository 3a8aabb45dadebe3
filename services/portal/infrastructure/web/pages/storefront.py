"""Visitors see the vehicles for sale, and one vehicle, and buy it."""

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request, Response

from services.portal.domain.user import BUYER, User
from services.portal.infrastructure.identity.sessions import UserDep, VisitorDep
from services.portal.infrastructure.language.i18n import marked
from services.portal.infrastructure.peers.client import PeerRefusal, Peers, PeerUnavailable, Reply
from services.portal.infrastructure.web.auditing import Auditing
from services.portal.infrastructure.web.credit_view import Credit
from services.portal.infrastructure.web.forms import NotANumber, cents_of, number_of
from services.portal.infrastructure.web.pages.page import page_router
from services.portal.infrastructure.web.purchase_view import Standing
from services.portal.infrastructure.web.showroom import Vehicle
from services.portal.infrastructure.web.templating import redirect, render

PAGE_SIZE = 24
FILTERS = ("q", "make", "year_min", "year_max", "price_min", "price_max", "order")
CHANGED = marked("The price has changed. This is the new one.")


class Storefront:
    def __init__(self, peers: Peers, auditing: Auditing) -> None:
        self._peers = peers
        self._auditing = auditing

    async def browse(
        self, request: Request, visitor: VisitorDep, cursor: Annotated[str | None, Query()] = None
    ) -> Response:
        values = {name: _typed(request, name) for name in FILTERS}
        vehicles, following, down = [], None, []
        errors: Mapping[str, str] = {}
        counts: Mapping[str, Any] | None = None
        try:
            search = _search(values)
            listing = self._peers.get(
                visitor,
                "vehicles",
                "/vehicles",
                limit=PAGE_SIZE,
                cursor=cursor,
                order="-price" if values["order"] == "-price" else "price",
                **search,
            )
            found, counts = await asyncio.gather(listing, self._counts(visitor, search))
            vehicles = [Vehicle.of(each) for each in found.body["items"]]
            following = found.body["next"]
        except PeerUnavailable as error:
            down = [error.service]
        except NotANumber as error:
            errors = {error.field: str(error)}
        except PeerRefusal as error:
            errors = error.fields
        given = {name: value for name, value in values.items() if value}
        return render(
            request,
            "pages/storefront.html",
            visitor,
            vehicles=vehicles,
            counts=counts,
            down=down,
            errors=errors,
            values=values,
            more_filters=any(values[name] for name in FILTERS[2:-1]),
            first_page=cursor is None,
            first_url=_address(given),
            next_page=_address(given | {"cursor": following}) if following else None,
        )

    async def show(self, vehicle_id: UUID, request: Request, visitor: VisitorDep) -> Response:
        try:
            own = await self._own(visitor, vehicle_id)
        except PeerUnavailable:
            own = None
        return await self._page(request, visitor, await self._vehicle(visitor, vehicle_id), own)

    async def buy(
        self,
        vehicle_id: UUID,
        request: Request,
        user: UserDep,
        price_cents: Annotated[int, Form()],
        after: Annotated[str, Form(max_length=36)] = "",
    ) -> Response:
        """Buy the vehicle. Another tab, the back button and a second click lead to the existing
        purchase. A request that is sent twice makes one purchase too: its key names the vehicle,
        the shown price, and `after`, the purchase of this vehicle that its buyer had seen end.
        """
        if not user.may(BUYER) or user.customer_id is None:
            return redirect(f"/vehicles/{vehicle_id}")
        vehicle = await self._vehicle(user, vehicle_id)
        try:
            own = await self._own(user, vehicle_id)
            if own is not None and not own.has_failed:
                return redirect(f"/purchases/{own.transaction_id}")
            if vehicle.price_cents != price_cents:
                return await self._page(request, user, vehicle, own, error=CHANGED)
            begun = await self._begin(user, vehicle, after)
        except PeerUnavailable as error:
            return await self._page(request, user, vehicle, None, down=error.service, after=after)
        except PeerRefusal as error:
            reason = next(iter(error.fields.values()), "")
            return await self._page(request, user, vehicle, own, error=reason)
        return redirect(f"/purchases/{begun.body['transaction_id']}")

    async def _begin(self, user: User, vehicle: Vehicle, after: str) -> Reply:
        order = {
            "customer_id": str(user.customer_id),
            "vehicle_id": vehicle.id,
            "total_cents": vehicle.price_cents,
        }
        key = f"{user.id}:{vehicle.id}:{vehicle.price_cents}:{after}"
        sending = self._peers.send(user, "orders", "POST", "/purchase", order, key=key)
        return await self._auditing.audited(user, "purchase.begun", vehicle.id, sending)

    async def _page(
        self,
        request: Request,
        visitor: User | None,
        vehicle: Vehicle,
        own: Standing | None,
        *,
        down: str = "",
        error: str = "",
        after: str | None = None,
    ) -> Response:
        """Show the vehicle. `own` is the visitor's last purchase of it."""
        return render(
            request,
            "pages/vehicle.html",
            visitor,
            status=503 if down else 409 if error else 200,
            vehicle=vehicle,
            own=own,
            after=after if after is not None else own.transaction_id if own else "",
            credit=await self._credit(visitor),
            values={},
            errors={},
            down=[down] if down else [],
            error=error,
        )

    async def _vehicle(self, visitor: User | None, vehicle_id: UUID) -> Vehicle:
        return Vehicle.of(
            (await self._peers.get(visitor, "vehicles", f"/vehicles/{vehicle_id}")).body
        )

    async def _own(self, visitor: User | None, vehicle_id: UUID) -> Standing | None:
        """Return the visitor's last purchase of the vehicle. Raises PeerUnavailable."""
        if visitor is None or visitor.customer_id is None or not visitor.may(BUYER):
            return None
        try:
            found = await self._peers.get(
                visitor,
                "orders",
                "/purchases",
                customer=str(visitor.customer_id),
                vehicle=str(vehicle_id),
                limit=1,
            )
        except PeerRefusal:
            return None
        return next(map(Standing.of, found.body["items"]), None)

    async def _credit(self, visitor: User | None) -> Credit | None:
        """Return the credit, or None where it is unknown. The purchase decides if it is enough."""
        if visitor is None or visitor.customer_id is None or not visitor.may(BUYER):
            return None
        path = f"/customers/{visitor.customer_id}"
        found = await self._peers.try_get(visitor, "customers", path)
        return Credit.of(found.body) if found else None

    async def _counts(
        self, visitor: User | None, search: Mapping[str, Any]
    ) -> Mapping[str, Any] | None:
        """Return the number of vehicles of each make, and in total."""
        found = await self._peers.try_get(visitor, "vehicles", "/makes", **search)
        return found.body if found else None


def router(peers: Peers, auditing: Auditing) -> APIRouter:
    routes, to = page_router(), Storefront(peers, auditing)
    routes.get("/")(to.browse)
    routes.get("/vehicles/{vehicle_id}")(to.show)
    routes.post("/vehicles/{vehicle_id}/buy")(to.buy)
    return routes


def _typed(request: Request, name: str) -> str:
    """Return the input as one line of printable characters."""
    text = request.query_params.get(name, "")
    return " ".join("".join(each if each.isprintable() else " " for each in text).split())[:60]


def _search(values: dict[str, str]) -> dict[str, Any]:
    """Return the parameters of the search. Raises NotANumber."""
    return {
        "q": values["q"] or None,
        "make": values["make"] or None,
        "year_min": number_of(values["year_min"], "year_min"),
        "year_max": number_of(values["year_max"], "year_max"),
        "price_min": cents_of(values["price_min"], "price_min"),
        "price_max": cents_of(values["price_max"], "price_max"),
    }


def _address(query: dict[str, str]) -> str:
    return f"/?{urlencode(query)}" if query else "/"
