"""The page of a purchase shows its state, the possible actions, and its timeline as it grows."""

from collections.abc import AsyncIterable
from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Depends, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent

from libs.kernel.clock import utc_now
from services.portal.domain.errors import PurchaseNotFound
from services.portal.domain.timeline import Moment, Purchase, PurchaseState, Timeline
from services.portal.domain.user import ADMIN, OPERATOR, User
from services.portal.infrastructure.identity.sessions import SessionIdDep, UserDep
from services.portal.infrastructure.identity.viewing import MayView, by_session
from services.portal.infrastructure.peers.client import PeerRefusal, Peers, PeerUnavailable
from services.portal.infrastructure.peers.purchase_finder import PurchaseFinder
from services.portal.infrastructure.store.postgres import Store
from services.portal.infrastructure.web import purchase_view
from services.portal.infrastructure.web.pages.page import page_router
from services.portal.infrastructure.web.pages.purchases import is_own
from services.portal.infrastructure.web.purchase_view import CodeRecord, Standing, lanes
from services.portal.infrastructure.web.showroom import Vehicle
from services.portal.infrastructure.web.templating import fragment, render
from services.portal.infrastructure.web.watch import TimelineWatch
from services.portal.infrastructure.web.wording import PAYMENT_METHODS, waits_for

STILL_EVERY = 5
"""After this many seconds without an event a page learns that its stream is still open."""


class LivePurchase:
    def __init__(
        self, transactions: Store, peers: Peers, watch: TimelineWatch, finder: PurchaseFinder
    ) -> None:
        self._transactions = transactions
        self._peers = peers
        self._watch = watch
        self._finder = finder

    async def show(self, order_id: UUID, request: Request, user: UserDep) -> Response:
        context = await self._context(user, order_id)
        return render(request, "pages/purchase.html", user, **context)

    async def panel(self, order_id: UUID, request: Request, user: UserDep) -> Response:
        context = await self._context(user, order_id) | {"partial": True}
        return render(request, context["panel"], user, **context)

    async def may_follow(self, order_id: UUID, user: UserDep, session_id: SessionIdDep) -> MayView:
        """Return the check of the reader. Raises PurchaseNotFound before a stream begins."""
        standing, _ = await self._standing(user, order_id)
        timeline = await self._timeline(user, order_id)
        customer_id = _customer_of(standing, timeline.purchase if timeline else None)
        _check_may_see(user, customer_id)
        return by_session(session_id, partial(_may_see, customer_id))

    async def follow(
        self, request: Request, user: User, order_id: UUID, seen: int, may_view: MayView
    ) -> AsyncIterable[ServerSentEvent]:
        known = await self._timeline(user, order_id)
        moments = list(known.moments) if known else []
        owner = known.purchase.customer_id if known else None
        of_another = owner is not None and not is_own(user, owner)
        if len(moments) > seen:
            yield _grown(request, user, moments, seen, of_another=of_another)
        after, quiet = moments[-1].position if moments else 0, 0
        async for step in self._watch.follow(
            user.tenant_id,
            order_id,
            after,
            may_view=may_view,
            stopping=request.app.state.stopping,
        ):
            if step is None:
                quiet += 1
                if quiet % STILL_EVERY == 0:
                    yield ServerSentEvent(event="still", raw_data="here")
            elif isinstance(step, PurchaseState):
                # This is the last event: the page is complete and needs no stream any more.
                yield ServerSentEvent(
                    event="timeline", raw_data=_drawn(request, user, moments, of_another=of_another)
                )
                yield ServerSentEvent(event="finished", raw_data=step.value)
            else:
                moments.append(step)
                seen = step.position - 1
                yield _grown(request, user, moments, seen, of_another=of_another)

    async def _context(self, user: User, order_id: UUID) -> dict[str, Any]:
        standing, down = await self._standing(user, order_id)
        timeline = await self._timeline(user, order_id)
        purchase = timeline.purchase if timeline else None
        customer_id = _customer_of(standing, purchase)
        _check_may_see(user, customer_id)
        code, trouble = await self._code(user, standing)
        paying = code is not None and code.state != "PENDING"
        vehicle = None
        if standing is not None:
            vehicle = await self._peers.try_get(
                user, "vehicles", f"/vehicles/{standing.vehicle_id}"
            )
        moments = timeline.moments if timeline else ()
        state = standing.state if standing else purchase.phase if purchase else "REQUESTED"
        of_another = not is_own(user, customer_id)
        context = {
            "order_id": order_id,
            "standing": standing,
            "state": state,
            "closed": state == "CLOSED",
            "down": down + trouble,
            "paying": paying,
            "code": code,
            "may_act": standing is not None and is_own(user, standing.customer_id),
            "methods": PAYMENT_METHODS,
            "steps": purchase_view.steps(state, purchase_view.types_of(moments)),
            "events": purchase_view.events(moments),
            "lanes": lanes(),
            "vehicle": Vehicle.of(vehicle.body) if vehicle else None,
            "position": moments[-1].position if moments else 0,
            "live": purchase is None or not purchase.is_finished,
            "partial": False,
            "panel": "fragments/staff_panel.html" if of_another else "fragments/panel.html",
            "of_another": of_another,
        }
        if of_another:
            context |= await self._of_another(user, customer_id, purchase, state, paying=paying)
            context["reason"] = standing.reason if standing else None
        return context

    async def _of_another(
        self,
        user: User,
        customer_id: str | UUID | None,
        purchase: Purchase | None,
        state: str,
        *,
        paying: bool,
    ) -> dict[str, Any]:
        """Return what only the staff sees: the buyer, and what the purchase waits for."""
        owner = UUID(str(customer_id)) if customer_id else None
        finished = purchase is not None and purchase.is_finished
        users = {}
        if owner is not None and user.may(ADMIN):
            users = await self._transactions.read(
                lambda uow: uow.users.of_customers(user.tenant_id, [owner])
            )
        return {
            "customer_id": owner,
            "buyer": await self._finder.buyer(user, owner),
            "buyer_user": users.get(owner) if owner else None,
            "waits_for": waits_for(state, is_paying=paying, is_finished=finished),
            "stuck": purchase is not None and purchase.is_stuck(utc_now()),
            "last_at": purchase.last_at if purchase and not finished else None,
            "started_at": purchase.started_at if purchase else None,
        }

    async def _standing(self, user: User, order_id: UUID) -> tuple[Standing | None, list[str]]:
        try:
            found = await self._peers.get(user, "orders", f"/saga-states/{order_id}")
        except PeerUnavailable as error:
            return None, [error.service]
        except PeerRefusal as error:
            raise PurchaseNotFound from error
        return Standing.of(found.body), []

    async def _code(
        self, user: User, standing: Standing | None
    ) -> tuple[CodeRecord | None, list[str]]:
        """Return payments' record of the code that waits to be paid, or is being paid now."""
        if standing is None or standing.state != "AWAITING_PAYMENT" or not standing.payment_code:
            return None, []
        try:
            found = await self._peers.get(
                user, "payments", f"/payment-codes/{standing.payment_code}"
            )
        except PeerUnavailable as error:
            return None, [error.service]
        except PeerRefusal:
            return None, []
        return CodeRecord.of(found.body), []

    async def _timeline(self, user: User, order_id: UUID) -> Timeline | None:
        return await self._transactions.read(
            lambda uow: uow.timeline.find(user.tenant_id, order_id)
        )


def router(
    transactions: Store, peers: Peers, watch: TimelineWatch, finder: PurchaseFinder
) -> APIRouter:
    routes, to = page_router(), LivePurchase(transactions, peers, watch, finder)

    async def events(
        order_id: UUID,
        request: Request,
        user: UserDep,
        may_view: Annotated[MayView, Depends(to.may_follow)],
        seen: Annotated[int, Query(ge=0)] = 0,
    ) -> AsyncIterable[ServerSentEvent]:
        async for event in to.follow(request, user, order_id, seen, may_view):
            yield event

    routes.get("/purchases/{order_id}")(to.show)
    routes.get("/purchases/{order_id}/panel")(to.panel)
    routes.get("/purchases/{order_id}/events", response_class=EventSourceResponse)(events)
    return routes


def _customer_of(standing: Standing | None, purchase: Purchase | None) -> str | UUID | None:
    """Return the buyer, as far as the portal knows."""
    return standing.customer_id if standing else purchase.customer_id if purchase else None


def _may_see(customer_id: str | UUID | None, user: User) -> bool:
    """Return whether the user is the buyer, or staff."""
    return user.may(OPERATOR, ADMIN) or is_own(user, customer_id)


def _check_may_see(user: User, customer_id: str | UUID | None) -> None:
    """Raise PurchaseNotFound where the user may not see the purchase."""
    if not _may_see(customer_id, user):
        raise PurchaseNotFound


def _grown(
    request: Request, user: User, moments: list[Moment], seen: int, *, of_another: bool
) -> ServerSentEvent:
    drawn = _drawn(request, user, moments, seen, of_another=of_another)
    return ServerSentEvent(event="timeline", id=str(moments[-1].position), raw_data=drawn)


def _drawn(
    request: Request,
    user: User,
    moments: list[Moment],
    seen: int | None = None,
    *,
    of_another: bool,
) -> str:
    return fragment(
        request,
        "fragments/timeline.html",
        user,
        events=purchase_view.events(moments, seen=seen),
        lanes=lanes(),
        of_another=of_another,
    )
