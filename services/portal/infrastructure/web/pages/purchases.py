"""Users see their own purchases, and buyers pay, pick up and cancel."""

import asyncio
from collections.abc import Awaitable, Iterable, Sequence
from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request, Response

from services.portal.domain.errors import PurchaseNotFound
from services.portal.domain.user import User
from services.portal.infrastructure.identity.sessions import UserDep
from services.portal.infrastructure.peers.client import PeerRefusal, Peers, PeerUnavailable, Reply
from services.portal.infrastructure.web.auditing import Auditing
from services.portal.infrastructure.web.pages.page import page_router
from services.portal.infrastructure.web.purchase_view import Standing
from services.portal.infrastructure.web.showroom import Vehicle
from services.portal.infrastructure.web.templating import Flash, redirect, render
from services.portal.infrastructure.web.wording import down_message, refusal_message

PAGE_SIZE = 20
SIDE_BY_SIDE = 5


class Purchases:
    def __init__(self, peers: Peers, auditing: Auditing) -> None:
        self._peers = peers
        self._auditing = auditing

    async def show_own(
        self, request: Request, user: UserDep, cursor: Annotated[str | None, Query()] = None
    ) -> Response:
        purchases: Sequence[Standing] = ()
        following, down = None, []
        if user.customer_id is not None:
            try:
                found = await self._peers.get(
                    user,
                    "orders",
                    "/purchases",
                    customer=str(user.customer_id),
                    limit=PAGE_SIZE,
                    cursor=cursor,
                )
                purchases = [Standing.of(each) for each in found.body["items"]]
                following = found.body["next"]
            except PeerUnavailable as error:
                down = [error.service]
        vehicles, missing = await self._vehicles(user, {each.vehicle_id for each in purchases})
        return render(
            request,
            "pages/purchases.html",
            user,
            purchases=[(each, vehicles.get(each.vehicle_id)) for each in purchases],
            down=down + missing,
            next_page=f"/purchases?cursor={quote(following)}" if following else None,
        )

    async def pay(
        self,
        order_id: UUID,
        user: UserDep,
        code: Annotated[str, Form(max_length=64)],
        method: Annotated[str, Form(max_length=64)],
        declines: Annotated[int, Form(ge=0, le=1000)] = 0,
    ) -> Response:
        """Pay a code once for each card that was declined before, however often it is sent."""
        await self._own(user, order_id)
        payment = {"code": code, "method": method}
        key = f"{order_id}:{code}:{declines}:{method}"
        sending = self._peers.send(user, "payments", "POST", "/payments", payment, key=key)
        return await self._move(user, order_id, "purchase.paid", sending)

    async def pick_up(self, order_id: UUID, user: UserDep) -> Response:
        await self._own(user, order_id)
        sending = self._peers.send(user, "orders", "POST", f"/orders/{order_id}/close")
        return await self._move(user, order_id, "purchase.picked_up", sending)

    async def cancel(self, order_id: UUID, user: UserDep) -> Response:
        await self._own(user, order_id)
        sending = self._peers.send(user, "orders", "POST", f"/purchases/{order_id}/cancel")
        return await self._move(user, order_id, "purchase.given_up", sending)

    async def _move(
        self, user: User, order_id: UUID, action: str, sending: Awaitable[Reply]
    ) -> Response:
        """Act, and show the page, which shows the result and stays current. A sentence about the
        moment of the click would soon be wrong.
        """
        flash = None
        try:
            await self._auditing.audited(user, action, str(order_id), sending)
        except PeerUnavailable as error:
            flash = Flash(down_message(error.service), "back")
        except PeerRefusal as error:
            flash = Flash(refusal_message(error), "back")
        return redirect(f"/purchases/{order_id}", flash)

    async def _own(self, user: User, order_id: UUID) -> None:
        """Raise PurchaseNotFound for anybody but the buyer, because only the buyer may act."""
        found = await self._peers.get(user, "orders", f"/saga-states/{order_id}")
        if not is_own(user, Standing.of(found.body).customer_id):
            raise PurchaseNotFound

    async def _vehicles(
        self, user: User, ids: Iterable[str]
    ) -> tuple[dict[str, Vehicle], list[str]]:
        """Return the available vehicles, and the service that does not answer. The page works
        without their names.
        """
        places, down = asyncio.Semaphore(SIDE_BY_SIDE), set[str]()

        async def one(vehicle_id: str) -> Reply | None:
            async with places:
                try:
                    return await self._peers.get(user, "vehicles", f"/vehicles/{vehicle_id}")
                except PeerUnavailable as error:
                    down.add(error.service)
                except PeerRefusal:
                    pass
                return None

        replies = await asyncio.gather(*(one(each) for each in ids))
        found = [Vehicle.of(reply.body) for reply in replies if reply]
        return {vehicle.id: vehicle for vehicle in found}, sorted(down)


def is_own(user: User, customer_id: str | UUID | None) -> bool:
    return user.customer_id is not None and str(user.customer_id) == str(customer_id)


def router(peers: Peers, auditing: Auditing) -> APIRouter:
    routes, to = page_router(), Purchases(peers, auditing)
    routes.get("/purchases")(to.show_own)
    routes.post("/purchases/{order_id}/pay")(to.pay)
    routes.post("/purchases/{order_id}/pick-up")(to.pick_up)
    routes.post("/purchases/{order_id}/cancel")(to.cancel)
    return routes
