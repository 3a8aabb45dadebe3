"""Monthly KPIs are charts over half a year, the others show their state now. Admins define, try,
change and archive them here.
"""

import asyncio
import re
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response

from libs.kernel.clock import utc_now
from services.portal.domain.user import ADMIN, User
from services.portal.infrastructure.identity.sessions import Admin, Keeper
from services.portal.infrastructure.language.i18n import marked
from services.portal.infrastructure.language.sentences import Said
from services.portal.infrastructure.peers.client import PeerRefusal, Peers, PeerUnavailable
from services.portal.infrastructure.web.auditing import Auditing
from services.portal.infrastructure.web.forms import Text
from services.portal.infrastructure.web.kpi_view import (
    MONTH,
    KpiView,
    asks_for_month,
    is_figure,
    months_until,
    of_rows,
    over_months,
)
from services.portal.infrastructure.web.kpi_words import Speaker
from services.portal.infrastructure.web.pages.page import page_router
from services.portal.infrastructure.web.templating import Flash, locale_of, redirect, render
from services.portal.infrastructure.web.wording import PRECONDITION_FAILED, refusal_message

HERE = "/kpis"
ONE = f"{HERE}/{{kpi_id}}"
SERVICE = "kpis"
MONTHS = 6
OFFERED = 12
SIDE_BY_SIDE = 4
MOST_LISTED = 100
ACTIVE, ARCHIVED = "active", "inactive"
MOST_ROWS = 20
"""A page shows at most this number of rows of a trial."""

DEFINED = Flash(marked("The KPI was defined."))
CHANGED = Flash(marked("The KPI was changed."))
PUT_AWAY = Flash(marked("The KPI was archived. It can be restored at any time."))
RESTORED = Flash(marked("The KPI is shown again."))
MOVED_ON = marked(
    "Somebody else changed this KPI in the meantime. Saved again, your text replaces it."
)
STALE = Flash(marked("Somebody else changed this KPI in the meantime. Nothing was done."), "wait")


class KpiPages:
    """Each public method is one address of `router` below."""

    def __init__(self, peers: Peers, auditing: Auditing) -> None:
        self._peers = peers
        self._auditing = auditing

    async def page(self, request: Request, user: Keeper, month: str = "") -> Response:
        speaker = Speaker(locale_of(request, user))
        views: Sequence[KpiView] = ()
        archived: Sequence[Mapping[str, Any]] = ()
        down, zone = [], "UTC"
        months = chosen = None
        try:
            active = (await self._peers.get(user, SERVICE, "/kpis/active")).body
            zone = active.get("time_zone", zone)
            months = _months(zone)
            chosen = month if MONTH.fullmatch(month) else months[-1]
            places = asyncio.Semaphore(SIDE_BY_SIDE)
            views = await asyncio.gather(
                *(self._view(user, kpi, chosen, places, speaker) for kpi in active["items"])
            )
            if user.may(ADMIN):
                known = await self._peers.get(user, SERVICE, "/kpis", limit=MOST_LISTED)
                archived = [each for each in known.body["items"] if each["status"] == ARCHIVED]
        except PeerUnavailable as unavailable:
            down = [unavailable.service]
        months = months or _months(zone)
        return render(
            request,
            "pages/kpis.html",
            user,
            status=503 if down else 200,
            views=views,
            archived=archived,
            down=down,
            zone=None if down else speaker.zone(zone),
            months=[(each, speaker.month(each)) for each in reversed(months)],
            values={"month": chosen or months[-1]},
            may_define=user.may(ADMIN),
        )

    async def blank(self, request: Request, user: Admin) -> Response:
        return await self._form(request, user, None, {"key": uuid4().hex})

    async def define(
        self,
        request: Request,
        user: Admin,
        name: Text = "",
        description: Text = "",
        sql_template: Text = "",
        month: Text = "",
        key: Text = "",
        do: Text = "",
    ) -> Response:
        typed = _typed(name, description, sql_template)
        values = {**typed, "month": month, "key": key}
        if do == "try":
            return await self._tried(request, user, None, values)
        kpi_id = _new_id(key)
        body = {"id": kpi_id, **typed}
        sending = self._peers.send(user, SERVICE, "POST", "/kpis", body, key=key)
        try:
            await self._auditing.audited(user, "kpi.defined", kpi_id, sending)
        except PeerRefusal as refusal:
            return await self._form(request, user, None, values, errors=refusal.fields)
        return redirect(f"{HERE}#kpi-{kpi_id}", DEFINED)

    async def edit(self, request: Request, user: Admin, kpi_id: str) -> Response:
        kpi, version = await self._find(user, kpi_id)
        values = {name: kpi[name] for name in ("name", "description", "sql_template")}
        return await self._form(request, user, kpi, {**values, "version": version})

    async def change(
        self,
        request: Request,
        user: Admin,
        kpi_id: str,
        name: Text = "",
        description: Text = "",
        sql_template: Text = "",
        month: Text = "",
        version: Text = "",
        do: Text = "",
    ) -> Response:
        kpi, newest = await self._find(user, kpi_id)
        typed = _typed(name, description, sql_template)
        values = {**typed, "month": month, "version": version}
        if do == "try":
            return await self._tried(request, user, kpi, values)
        path = f"/kpis/{kpi['id']}"
        sending = self._peers.send(user, SERVICE, "PATCH", path, typed, version=version)
        try:
            await self._auditing.audited(user, "kpi.changed", kpi["id"], sending)
        except PeerRefusal as refusal:
            errors: dict[str, str] = dict(refusal.fields)
            if refusal.status == PRECONDITION_FAILED:
                errors, values["version"] = {"": MOVED_ON}, newest
            return await self._form(request, user, kpi, values, errors=errors)
        return redirect(f"{HERE}#kpi-{kpi['id']}", CHANGED)

    async def set_status(
        self, user: Admin, kpi_id: str, status: Text = "", version: Text = ""
    ) -> Response:
        """Set the status: active or inactive, as kpis calls an archived one."""
        kpi, _ = await self._find(user, kpi_id)
        archiving = status != ACTIVE
        path, body = f"/kpis/{kpi['id']}", {"status": ARCHIVED if archiving else ACTIVE}
        sending = self._peers.send(user, SERVICE, "PATCH", path, body, version=version)
        action = "kpi.archived" if archiving else "kpi.restored"
        try:
            await self._auditing.audited(user, action, kpi["id"], sending)
        except PeerRefusal as refusal:
            if refusal.status == PRECONDITION_FAILED:
                return redirect(HERE, STALE)
            raise
        return redirect(HERE, PUT_AWAY if archiving else RESTORED)

    async def _find(self, user: User, kpi_id: str) -> tuple[Mapping[str, Any], str]:
        """Return the KPI and its version. Raises PeerRefusal, also for a text that is no id."""
        if not re.fullmatch(r"[a-z][a-z0-9_]{0,63}", kpi_id):
            raise PeerRefusal(404, "kpi-not-found", {"": Said("", "kpi-not-found")})
        reply = await self._peers.get(user, SERVICE, f"/kpis/{kpi_id}")
        return reply.body, reply.version

    async def _tried(
        self, request: Request, user: User, kpi: Mapping[str, Any] | None, values: Mapping[str, str]
    ) -> Response:
        """Show the form with the user's input, and the template's result or what is wrong."""
        body = {"sql_template": values["sql_template"]}
        if MONTH.fullmatch(values["month"]):
            body["month"] = values["month"]
        try:
            found = (await self._peers.send(user, SERVICE, "POST", "/kpis/trial", body)).body
        except PeerRefusal as refusal:
            errors: dict[str, str] = dict(refusal.fields)
            errors.setdefault("sql_template", refusal_message(refusal))
            return await self._form(request, user, kpi, values, errors=errors)
        speaker = Speaker(locale_of(request, user))
        return await self._form(request, user, kpi, values, trial=speaker(found))

    async def _form(
        self,
        request: Request,
        user: User,
        kpi: Mapping[str, Any] | None,
        values: Mapping[str, str],
        *,
        errors: Mapping[str, str] | None = None,
        trial: Mapping[str, Any] | None = None,
    ) -> Response:
        """Show the form. `kpi` is None for a new one."""
        known = (await self._peers.get(user, SERVICE, "/kpis/views")).body["items"]
        speaker = Speaker(locale_of(request, user))
        months = months_until(utc_now().date(), OFFERED)
        shown = {"month": months[-1], **{n: v for n, v in values.items() if v or n != "month"}}
        return render(
            request,
            "pages/kpi_form.html",
            user,
            status=422 if errors else 200,
            kpi=kpi,
            known=known,
            values=shown,
            errors=errors or {},
            trial=trial,
            most_rows=MOST_ROWS,
            months=[(each, speaker.month(each)) for each in reversed(months)],
        )

    async def _view(
        self,
        user: User,
        kpi: Mapping[str, Any],
        month: str,
        places: asyncio.Semaphore,
        speaker: Speaker,
    ) -> KpiView:
        """Return the view of a KPI. One that cannot be computed says why, and others are shown."""

        async def value(of: str | None) -> Mapping[str, Any]:
            async with places:
                reply = await self._peers.get(user, SERVICE, f"/kpis/{kpi['id']}/value", month=of)
            return speaker(reply.body)

        try:
            if not asks_for_month(kpi):
                return of_rows(kpi, await value(None))
            last = await value(month)
            if not is_figure(last):
                return of_rows(kpi, last)
            before = months_until(date.fromisoformat(f"{month}-01"), MONTHS)[:-1]
            earlier = await asyncio.gather(*(value(each) for each in before))
            values = dict(zip([*before, month], [*earlier, last], strict=True))
            return over_months(kpi, values, speaker)
        except PeerRefusal as refusal:
            trouble = refusal_message(refusal)
            return KpiView(kpi["id"], kpi["name"], kpi["description"], trouble=trouble)


def _months(zone: str) -> list[str]:
    """Return the last months of that time zone's calendar."""
    return months_until(utc_now().astimezone(ZoneInfo(zone)).date(), OFFERED)


def _typed(name: str, description: str, sql_template: str) -> dict[str, str]:
    return {
        "name": " ".join(name.split()),
        "description": " ".join(description.split()),
        "sql_template": sql_template.strip(),
    }


def _new_id(key: str) -> str:
    """Derive the id from the form's key, so that a form sent twice defines one KPI."""
    return f"kpi_{re.sub(r'[^a-z0-9]', '', key)[:12] or uuid4().hex[:12]}"


def router(peers: Peers, auditing: Auditing) -> APIRouter:
    routes, to = page_router(), KpiPages(peers, auditing)
    routes.get(HERE)(to.page)
    routes.get(f"{HERE}/new")(to.blank)
    routes.post(f"{HERE}/new")(to.define)
    routes.get(f"{ONE}/edit")(to.edit)
    routes.post(f"{ONE}/edit")(to.change)
    routes.post(f"{ONE}/status")(to.set_status)
    return routes
