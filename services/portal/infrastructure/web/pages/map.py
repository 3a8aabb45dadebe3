"""Operators and admins see the choreography as a live map."""

from fastapi import APIRouter, Request, Response

from libs.messaging.saga.choreography import Choreography
from services.portal.infrastructure.identity.sessions import Keeper
from services.portal.infrastructure.peers.management import BrokerUnavailable, ManagementApi
from services.portal.infrastructure.peers.probes import Probes
from services.portal.infrastructure.web.map_view import map_view
from services.portal.infrastructure.web.pages.page import page_router
from services.portal.infrastructure.web.templating import render


def router(choreography: Choreography, broker: ManagementApi, probes: Probes) -> APIRouter:
    routes = page_router()

    async def show(request: Request, user: Keeper, template: str, views: str) -> Response:
        trouble, queues = None, {}
        try:
            queues = await broker.queues()
        except BrokerUnavailable as unavailable:
            trouble = str(unavailable)
        view = map_view(choreography, queues, await probes.refusals(), with_views=bool(views))
        return render(
            request,
            template,
            user,
            map=view,
            with_views=bool(views),
            broker_trouble=trouble,
        )

    @routes.get("/map")
    async def page(request: Request, user: Keeper, views: str = "") -> Response:
        return await show(request, user, "pages/map.html", views)

    @routes.get("/map/live")
    async def live(request: Request, user: Keeper, views: str = "") -> Response:
        return await show(request, user, "fragments/map.html", views)

    return routes
