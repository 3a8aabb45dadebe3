"""Operators see an event that a relay has given up, and send it again."""

from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Request, Response

from services.portal.domain.audit import Result
from services.portal.domain.ids import as_id
from services.portal.domain.user import User
from services.portal.infrastructure.identity.sessions import Keeper
from services.portal.infrastructure.language.i18n import marked
from services.portal.infrastructure.peers.client import PeerRefusal, PeerUnavailable
from services.portal.infrastructure.peers.given_up_desk import GivenUpDesk
from services.portal.infrastructure.web.auditing import Auditing
from services.portal.infrastructure.web.forms import Text
from services.portal.infrastructure.web.pages.operations import HERE
from services.portal.infrastructure.web.pages.page import page_router
from services.portal.infrastructure.web.templating import Flash, redirect, render

ONE = f"{HERE}/given-up/{{service}}"
SENT_AGAIN = "given_up.sent_again"

SENT = Flash(marked("It goes out again, and what waited behind it."))
GONE = Flash(marked("This event is no longer given up."), "wait")
SILENT = Flash(marked("The service did not answer: check whether it was sent."), "back")
REFUSED = Flash(marked("The service refused it. Nothing was changed."), "back")


class GivenUpPages:
    """Each public method is one address of `router` below."""

    def __init__(self, auditing: Auditing, desk: GivenUpDesk) -> None:
        self._auditing = auditing
        self._desk = desk

    async def event(
        self, request: Request, user: Keeper, service: str, message: str = "", warned: str = ""
    ) -> Response:
        try:
            event = await self._desk.find(user, service, message)
        except PeerUnavailable:
            return redirect(HERE, SILENT)
        if event is None:
            return redirect(HERE, GONE)
        return render(request, "pages/given_up.html", user, event=event, warned=warned)

    async def send_again(
        self, user: Keeper, service: str, message: Text = "", not_handled: Text = ""
    ) -> Response:
        """Release the event, record that in the audits, and show the result."""
        event_id = as_id(message)
        if event_id is None:
            return redirect(HERE, GONE)
        try:
            sent = await self._desk.send_again(
                user, service, event_id, not_handled=not_handled == "yes"
            )
        except PeerUnavailable:
            return await self._failed(user, service, event_id, SILENT)
        except PeerRefusal as refusal:
            if refusal.status == 404:
                return redirect(HERE, GONE)
            if refusal.code == "copy-may-be-handled":
                place = f"{HERE}/given-up/{quote(service, safe='')}?message={event_id}"
                return redirect(f"{place}&warned=yes")
            return await self._failed(user, service, event_id, REFUSED)
        details = {"service": service, "subject": sent["subject"]}
        if sent["new_id"] is not None:
            details["new_id"] = sent["new_id"]
        await self._auditing.record(user, SENT_AGAIN, str(event_id), Result.DONE, details)
        return redirect(HERE, SENT)

    async def _failed(self, user: User, service: str, event_id: UUID, why: Flash) -> Response:
        await self._auditing.record(
            user, SENT_AGAIN, str(event_id), Result.FAILED, {"service": service}
        )
        return redirect(HERE, why)


def router(auditing: Auditing, desk: GivenUpDesk) -> APIRouter:
    routes, to = page_router(), GivenUpPages(auditing, desk)
    routes.get(ONE)(to.event)
    routes.post(f"{ONE}/send-again")(to.send_again)
    return routes
