"""What is for sale, one vehicle, and buying it."""

from collections.abc import Awaitable, Mapping
from typing import Annotated, Any
from urllib.parse import urlencode
from uuid import UUID, uuid4

from fastapi import APIRouter, Form, Query, Request, Response

from services.portal.domain.user import BUYER, User
from services.portal.infrastructure.forms import NotANumber, cents_of, number_of
from services.portal.infrastructure.i18n import marked
from services.portal.infrastructure.pages.diary import Diary
from services.portal.infrastructure.pages.page import page_router
from services.portal.infrastructure.peers import PeerRefusal, Peers, PeerUnavailable, Reply
from services.portal.infrastructure.sessions import UserDep, VisitorDep
from services.portal.infrastructure.showroom import Vehicle
from services.portal.infrastructure.templating import redirect, render

PAGE_SIZE = 24
FILTERS = ("make", "model", "year_min", "year_max", "price_min", "price_max", "order")
CHANGED = marked("The price has changed. This is the new one.")


class Storefront:
    def __init__(self, peers: Peers, diary: Diary) -> None:
        self._peers = peers
        self._diary = diary

    async def browse(
        self, request: Request, visitor: VisitorDep, cursor: Annotated[str | None, Query()] = None
    ) -> Response:
        values = {name: request.query_params.get(name, "").strip()[:60] for name in FILTERS}
        vehicles, following, down = [], None, []
        errors: Mapping[str, str] = {}
        try:
            found = await self._peers.get(
                visitor,
                "vehicles",
                "/vehicles",
                limit=PAGE_SIZE,
                cursor=cursor,
                **_search(values),
            )
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
            "storefront.html",
            visitor,
            vehicles=vehicles,
            down=down,
            errors=errors,
            values=values,
            filtered=bool(given),
            first_page=cursor is None,
            first_url=_address(given),
            next_page=_address(given | {"cursor": following}) if following else None,
        )

    async def show(self, vehicle_id: UUID, request: Request, visitor: VisitorDep) -> Response:
        return await self._page(request, visitor, vehicle_id, key=str(uuid4()))

    async def buy(
        self,
        vehicle_id: UUID,
        request: Request,
        user: UserDep,
        key: Annotated[UUID, Form()],
        price_cents: Annotated[int, Form()],
    ) -> Response:
        """Sent twice with the same key it is one purchase. The price is the one that was shown."""
        if not user.may(BUYER) or user.customer_id is None:
            return redirect(f"/vehicles/{vehicle_id}")
        order = {
            "customer_id": str(user.customer_id),
            "vehicle_id": str(vehicle_id),
            "total_cents": price_cents,
        }

        def deed() -> Awaitable[Reply]:
            token = f"{user.id}:{key}"
            return self._peers.send(user, "orders", "POST", "/purchase", order, key=token)

        try:
            begun = await self._diary.note(user, "purchase.begun", str(vehicle_id), deed)
        except PeerUnavailable as error:
            return await self._page(request, user, vehicle_id, key=str(key), down=error.service)
        except PeerRefusal as error:
            reason = next(iter(error.fields.values()), "")
            return await self._page(request, user, vehicle_id, key=str(uuid4()), error=reason)
        return redirect(f"/purchases/{begun.body['transaction_id']}")

    async def _page(
        self,
        request: Request,
        visitor: User | None,
        vehicle_id: UUID,
        *,
        key: str,
        down: str = "",
        error: str = "",
    ) -> Response:
        found = await self._peers.get(visitor, "vehicles", f"/vehicles/{vehicle_id}")
        return render(
            request,
            "vehicle.html",
            visitor,
            status=503 if down else 409 if error else 200,
            vehicle=Vehicle.of(found.body),
            key=key,
            down=[down] if down else [],
            error=error,
        )


def router(peers: Peers, diary: Diary) -> APIRouter:
    routes, to = page_router(), Storefront(peers, diary)
    routes.get("/")(to.browse)
    routes.get("/vehicles/{vehicle_id}")(to.show)
    routes.post("/vehicles/{vehicle_id}/buy")(to.buy)
    return routes


def _search(values: dict[str, str]) -> dict[str, Any]:
    """Raises NotANumber."""
    return {
        "make": values["make"] or None,
        "model": values["model"] or None,
        "year_min": number_of(values["year_min"], "year_min"),
        "year_max": number_of(values["year_max"], "year_max"),
        "price_min": cents_of(values["price_min"], "price_min"),
        "price_max": cents_of(values["price_max"], "price_max"),
        "order": "-price" if values["order"] == "-price" else "price",
    }


def _address(query: dict[str, str]) -> str:
    return f"/?{urlencode(query)}" if query else "/"
