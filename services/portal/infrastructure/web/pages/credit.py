"""Admins answer buyers who request a higher credit limit."""

from typing import Annotated
from urllib.parse import quote
from uuid import UUID

from fastapi import APIRouter, Form, Query, Request, Response

from services.portal.domain.user import User
from services.portal.infrastructure.identity.sessions import Admin
from services.portal.infrastructure.language.i18n import marked
from services.portal.infrastructure.peers.client import PeerRefusal, Peers, PeerUnavailable
from services.portal.infrastructure.web.auditing import Auditing
from services.portal.infrastructure.web.credit_view import Credit
from services.portal.infrastructure.web.forms import NotANumber, limit_of
from services.portal.infrastructure.web.pages.page import page_router
from services.portal.infrastructure.web.templating import Flash, redirect, render
from services.portal.infrastructure.web.wording import down_message, refusal_message

Version = Annotated[str, Form(max_length=20)]
PLACE = "/credit-requests"
PAGE_SIZE = 50
NOT_FOUND = 404

GRANTED = Flash(marked("The new limit counts from now on."))
DECLINED = Flash(marked("The request was declined. The buyer reads it in the account."), "info")


class CreditRequests:
    def __init__(self, peers: Peers, auditing: Auditing) -> None:
        self._peers = peers
        self._auditing = auditing

    async def show(
        self, request: Request, user: Admin, cursor: Annotated[str | None, Query()] = None
    ) -> Response:
        return await self._page(request, user, cursor)

    async def grant(
        self,
        customer_id: UUID,
        request: Request,
        user: Admin,
        version: Version,
        limit: Annotated[str, Form(max_length=40)] = "",
    ) -> Response:
        path = f"/customers/{customer_id}/credit-limit"
        try:
            cents = limit_of(limit, "limit")
        except NotANumber as error:
            wrong = {str(customer_id): (limit, str(error))}
            return await self._page(request, user, None, wrong=wrong)
        return await self._answer(
            user,
            customer_id,
            "credit_limit.changed",
            "PUT",
            path,
            version,
            {"limit_cents": cents},
            done=GRANTED,
        )

    async def decline(self, customer_id: UUID, user: Admin, version: Version) -> Response:
        path = f"/customers/{customer_id}/credit-request/decline"
        return await self._answer(
            user, customer_id, "credit.declined", "POST", path, version, None, done=DECLINED
        )

    async def _answer(
        self,
        user: User,
        customer_id: UUID,
        action: str,
        method: str,
        path: str,
        version: str,
        body: dict[str, int] | None,
        *,
        done: Flash,
    ) -> Response:
        """Send the answer. `version` is that of the customer's record as it was shown, so that a
        newer request is not answered unseen.
        """
        sending = self._peers.send(user, "customers", method, path, body, version=version)
        try:
            await self._auditing.audited(user, action, str(customer_id), sending)
        except PeerUnavailable as error:
            return redirect(PLACE, Flash(down_message(error.service), "back"))
        except PeerRefusal as refusal:
            if refusal.status == NOT_FOUND:
                raise
            return redirect(PLACE, Flash(refusal_message(refusal), "back"))
        return redirect(PLACE, done)

    async def _page(
        self,
        request: Request,
        user: User,
        cursor: str | None,
        *,
        wrong: dict[str, tuple[str, str]] | None = None,
    ) -> Response:
        """Show the requests. `wrong` is the typed limit and what is wrong with it, by customer."""
        asking, following, down = [], None, []
        try:
            found = await self._peers.get(
                user, "customers", PLACE, full="true", limit=PAGE_SIZE, cursor=cursor
            )
            asking = [(each, Credit.of(each)) for each in found.body["items"]]
            following = found.body["next"]
        except PeerUnavailable as error:
            down = [error.service]
        return render(
            request,
            "pages/credit_requests.html",
            user,
            status=503 if down else 422 if wrong else 200,
            asking=asking,
            wrong=wrong or {},
            down=down,
            next_page=f"{PLACE}?cursor={quote(following)}" if following else None,
        )


def router(peers: Peers, auditing: Auditing) -> APIRouter:
    routes, to = page_router(), CreditRequests(peers, auditing)
    routes.get(PLACE)(to.show)
    routes.post(f"{PLACE}/{{customer_id}}/grant")(to.grant)
    routes.post(f"{PLACE}/{{customer_id}}/decline")(to.decline)
    return routes
