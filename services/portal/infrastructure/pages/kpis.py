"""KPIs as charts: those of a month over half a year, the others as they are now."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Annotated, Any

from fastapi import APIRouter, Request, Response

from libs.kernel.clock import utc_now
from services.portal.domain.user import ADMIN, OPERATOR, User
from services.portal.infrastructure.kpi_view import (
    MONTH,
    KpiView,
    asks_for_month,
    is_figure,
    months_until,
    of_rows,
    over_months,
)
from services.portal.infrastructure.pages.page import page_router
from services.portal.infrastructure.peers import PeerRefusal, Peers, PeerUnavailable
from services.portal.infrastructure.sessions import require_roles
from services.portal.infrastructure.templating import render

Keeper = Annotated[User, require_roles(OPERATOR, ADMIN)]
SERVICE = "kpis"
MONTHS = 6
OFFERED = 12
SIDE_BY_SIDE = 4


class KpiPages:
    def __init__(self, peers: Peers) -> None:
        self._peers = peers

    async def page(self, request: Request, user: Keeper, month: str = "") -> Response:
        today = utc_now().date()
        offered = months_until(today, OFFERED)
        chosen = month if MONTH.fullmatch(month) else offered[-1]
        views: Sequence[KpiView] = ()
        down = []
        try:
            active = await self._peers.get(user, SERVICE, "/kpis/active")
            places = asyncio.Semaphore(SIDE_BY_SIDE)
            views = await asyncio.gather(
                *(self._view(user, kpi, chosen, places) for kpi in active.body["items"])
            )
        except PeerUnavailable as unavailable:
            down = [unavailable.service]
        return render(
            request,
            "kpis.html",
            user,
            status=503 if down else 200,
            views=views,
            down=down,
            months=[(each, each) for each in reversed(offered)],
            values={"month": chosen},
        )

    async def _view(
        self, user: User, kpi: Mapping[str, Any], month: str, places: asyncio.Semaphore
    ) -> KpiView:
        """One that cannot be computed says why; the others are shown all the same."""

        async def value(of: str | None) -> Mapping[str, Any]:
            async with places:
                reply = await self._peers.get(user, SERVICE, f"/kpis/{kpi['id']}/value", month=of)
            found: Mapping[str, Any] = reply.body
            return found

        try:
            if not asks_for_month(kpi):
                return of_rows(kpi, await value(None))
            last = await value(month)
            if not is_figure(last):
                return of_rows(kpi, last)
            before = months_until(date.fromisoformat(f"{month}-01"), MONTHS)[:-1]
            earlier = await asyncio.gather(*(value(each) for each in before))
            return over_months(kpi, dict(zip([*before, month], [*earlier, last], strict=True)))
        except PeerRefusal as refusal:
            trouble = next(iter(refusal.fields.values()), refusal.code)
            return KpiView(kpi["id"], kpi["name"], kpi["description"], trouble=trouble)


def router(peers: Peers) -> APIRouter:
    routes = page_router()
    routes.get("/kpis")(KpiPages(peers).page)
    return routes
