"""Operators and admins list and search all purchases.

The input may be personal data, so a form sends it and it stays out of addresses.
"""

from collections.abc import Sequence

from fastapi import APIRouter, Request, Response

from libs.kernel.clock import utc_now
from services.portal.domain.ids import as_id
from services.portal.domain.user import OPERATOR, User
from services.portal.infrastructure.identity.sessions import Keeper
from services.portal.infrastructure.language.i18n import marked
from services.portal.infrastructure.peers.purchase_finder import (
    ATTENTION,
    QUIET,
    SHOWN,
    STUCK,
    PurchaseFinder,
)
from services.portal.infrastructure.web.forms import Text
from services.portal.infrastructure.web.pages.page import page_router
from services.portal.infrastructure.web.templating import redirect, render
from services.portal.infrastructure.web.wording import STAFF_STATES

HERE = "/all-purchases"
MOST_TYPED = 200
QUIET_LABELS = {
    "5m": marked("5 minutes"),
    "1h": marked("1 hour"),
    "1d": marked("1 day"),
    "7d": marked("7 days"),
}


class AllPurchases:
    def __init__(self, finder: PurchaseFinder) -> None:
        self._finder = finder

    async def listed(
        self, request: Request, user: Keeper, state: str = "", quiet: str = "", after: str = ""
    ) -> Response:
        return await self._show(request, user, "", state, quiet, after)

    async def search(
        self,
        request: Request,
        user: Keeper,
        q: Text = "",
        state: Text = "",
        quiet: Text = "",
        after: Text = "",
    ) -> Response:
        return await self._show(request, user, q[:MOST_TYPED], state, quiet, after)

    async def _show(
        self, request: Request, user: User, q: str, state: str, quiet: str, after: str
    ) -> Response:
        states = _states(user)
        if state not in dict(states):
            state = ""
        if quiet not in QUIET:
            quiet = ""
        found = await self._finder.find(
            user, typed=q, state=state, quiet=quiet, after=as_id(after), now=utc_now()
        )
        if found.exact is not None:
            return redirect(f"/purchases/{found.exact}")
        return render(
            request,
            "pages/all_purchases.html",
            user,
            found=found,
            states=states,
            quiets=[("", marked("any time")), *QUIET_LABELS.items()],
            values={"q": q, "state": state, "quiet": quiet},
            after=found.rows[-1].purchase.id if found.older else None,
            first_page=not after,
            shown=SHOWN,
        )


def _states(user: User) -> Sequence[tuple[str, str]]:
    """Return the states to choose from. Only operators may decide about money that waits."""
    asking = [(ATTENTION, marked("Waiting for a person"))] if user.may(OPERATOR) else []
    return [("", marked("All")), (STUCK, marked("Stuck")), *asking, *STAFF_STATES.items()]


def router(finder: PurchaseFinder) -> APIRouter:
    routes, to = page_router(), AllPurchases(finder)
    routes.get(HERE)(to.listed)
    routes.post(HERE)(to.search)
    return routes
