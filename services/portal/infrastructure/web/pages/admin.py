"""Operators and admins see audits and all submissions, and admins see users."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from typing import Annotated
from urllib.parse import urlencode

from fastapi import APIRouter, Form, Query, Request, Response

from libs.kernel.clock import utc_now
from libs.kernel.errors import DomainError
from libs.kernel.ids import uuid7
from services.portal.application.create_user import create_user
from services.portal.application.ports import PasswordHasher, Wanted, WantedAudits
from services.portal.application.verify_audits import verify_audits
from services.portal.domain.audit import Audit
from services.portal.domain.ids import as_id
from services.portal.domain.timeline import Sought
from services.portal.domain.user import (
    BUYER,
    LOCALES,
    User,
    check_password,
    known_roles,
    normal_email,
    normal_name,
    words_of,
)
from services.portal.infrastructure.identity.sessions import Admin, Keeper
from services.portal.infrastructure.language.i18n import LANGUAGES, marked
from services.portal.infrastructure.language.sentences import said
from services.portal.infrastructure.store.postgres import PostgresPortalUnitOfWork, Store
from services.portal.infrastructure.web.audit_view import (
    ACTIONS,
    SYSTEM,
    Known,
    ids_in,
    line,
)
from services.portal.infrastructure.web.forms import Text
from services.portal.infrastructure.web.pages.page import page_router
from services.portal.infrastructure.web.pages.roles import ROLES
from services.portal.infrastructure.web.templating import Flash, redirect, render

SHOWN = 50
MOST_TYPED = 200
MOST_MEANT = 20
"""A search covers the audits of at most this number of people of one name."""
NOBODY = "-"
"""This matches nothing: the person searched for does not exist."""
ENABLED, DISABLED = "enabled", "disabled"
USER_STATES = {ENABLED: marked("Can sign in"), DISABLED: marked("Disabled")}

CREATED = Flash(marked("The user was created."))


class AdminPages:
    """Each public method is one address of `router` below."""

    def __init__(self, transactions: Store, passwords: PasswordHasher) -> None:
        self._transactions = transactions
        self._passwords = passwords

    async def audits(
        self,
        request: Request,
        user: Keeper,
        before: str = "",
        action: str = "",
        since: str = "",
        until: str = "",
        actor: Annotated[list[str] | None, Query()] = None,
        about: Annotated[list[str] | None, Query()] = None,
    ) -> Response:
        """Show the audits found. `since` and `until` are days of UTC, both included. A text that is
        no day does not limit the search.
        """
        start = int(before) if before.isascii() and before.isdigit() and len(before) < 16 else None
        first, last = _day(since), _day(until)
        actors, things = _printable(actor), _printable(about)
        wanted = WantedAudits(
            action=action.strip()[:100] if action.isprintable() else "",
            actors=actors,
            about=things,
            since=first,
            before=last + timedelta(days=1) if last else None,
        )
        found, known = await self._transactions.read_behind(
            lambda uow: _audits(uow, user.tenant_id, start, wanted)
        )
        shown = found[:SHOWN]
        narrowed = [
            ("action", wanted.action),
            ("since", since if first else ""),
            ("until", until if last else ""),
            *(("actor", each) for each in actors),
            *(("about", each) for each in things),
        ]
        return render(
            request,
            "pages/audits.html",
            user,
            lines=[line(each, known, user) for each in shown],
            older=shown[-1].sequence if len(found) > SHOWN else None,
            narrowed=urlencode([each for each in narrowed if each[1]]),
            actions=[("", marked("All")), *ACTIONS.items()],
            actors=[known.names.get(each) or SYSTEM.get(each, each) for each in actors],
            things=things,
            values=dict(narrowed[:3]),
        )

    async def search_audits(
        self,
        user: Keeper,
        person: Text = "",
        thing: Text = "",
        action: Text = "",
        since: Text = "",
        until: Text = "",
    ) -> Response:
        """Redirect to the audits found, by ids only: the input may be personal data."""
        asked = [("action", action.strip()[:100]), ("since", since), ("until", until)]
        asked += [("actor", each) for each in await self._meant(user, person)]
        asked += [("about", each) for each in await self._meant(user, thing)]
        query = urlencode([(name, value) for name, value in asked if value])
        return redirect(f"/audits?{query}" if query else "/audits")

    async def _meant(self, user: User, typed: str) -> list[str]:
        """Return the ids of the person or thing that somebody typed: an id, a name or an e-mail."""
        typed = typed.strip()[:MOST_TYPED]
        if not typed:
            return []
        if as_id(typed) is not None or typed in SYSTEM or re.fullmatch(r"[a-z]+_\w+", typed):
            return [typed]
        wanted = Search(typed).wanted()
        if not wanted.email and not wanted.words:
            return [NOBODY]
        found = await self._transactions.read(
            lambda uow: uow.users.page(user.tenant_id, None, MOST_MEANT, wanted=wanted)
        )
        return [str(each.id) for each in found] or [NOBODY]

    async def verification(self, request: Request, user: Keeper) -> Response:
        report = await self._transactions.run(
            lambda uow: verify_audits(uow, tenant_id=user.tenant_id)
        )
        return render(request, "pages/audit_chain.html", user, report=report)

    async def submissions(self, request: Request, user: Keeper, after: str = "") -> Response:
        start = as_id(after)  # a list without an id begins at its beginning
        found = await self._transactions.read_behind(
            lambda uow: uow.submissions.page(user.tenant_id, start, SHOWN + 1)
        )
        shown = found[:SHOWN]
        older = shown[-1].id if len(found) > SHOWN else None
        return render(request, "pages/submissions.html", user, submissions=shown, older=older)

    async def users(
        self, request: Request, user: Admin, role: str = "", state: str = "", after: str = ""
    ) -> Response:
        return await self._users(request, user, Search("", role, state, after))

    async def search_users(
        self,
        request: Request,
        user: Admin,
        q: Text = "",
        role: Text = "",
        state: Text = "",
        after: Text = "",
    ) -> Response:
        """Show the users found. The input may be personal data, and stays out of addresses."""
        return await self._users(request, user, Search(q[:MOST_TYPED], role, state, after))

    async def create(
        self,
        request: Request,
        user: Admin,
        name: Text = "",
        email: Text = "",
        password: Text = "",
        locale: Text = "en",
        roles: Annotated[list[str] | None, Form()] = None,
    ) -> Response:
        values = {"name": name, "email": email, "locale": locale}
        try:
            address = normal_email(email)
            normal_name(name)
            known_roles(roles or [])
            check_password(password, email=address)
            password_hash = await self._passwords.hash(password)
            await self._transactions.run(
                lambda uow: create_user(
                    uow,
                    tenant_id=user.tenant_id,
                    name=name,
                    email=email,
                    password_hash=password_hash,
                    roles=roles or [],
                    locale=locale,
                    actor=str(user.id),
                    new_id=uuid7,
                    now=utc_now(),
                )
            )
        except DomainError as error:
            errors = {error.field or "": said(error)}
            return await self._users(
                request, user, Search(), values=values, errors=errors, roles=frozenset(roles or [])
            )
        return redirect("/users", CREATED)

    async def _users(
        self,
        request: Request,
        user: User,
        search: "Search",
        *,
        values: dict[str, str] | None = None,
        errors: Mapping[str, str] | None = None,
        roles: frozenset[str] = frozenset({BUYER}),
    ) -> Response:
        found = await self._transactions.read(
            lambda uow: uow.users.page(
                user.tenant_id, as_id(search.after), SHOWN + 1, wanted=search.wanted()
            )
        )
        shown = found[:SHOWN]
        return render(
            request,
            "pages/users.html",
            user,
            status=422 if errors else 200,
            users=shown,
            search=search,
            states=[("", marked("All")), *USER_STATES.items()],
            older=shown[-1].id if len(found) > SHOWN else None,
            values=values or {"locale": "en"},
            errors=errors or {},
            chosen=roles,
            roles=ROLES,
            locales=[(code, LANGUAGES[code]) for code in LOCALES],
        )


@dataclass(frozen=True)
class Search:
    """A search for users is kept as it came with the request."""

    q: str = ""
    role: str = ""
    state: str = ""
    after: str = ""

    def wanted(self) -> Wanted:
        typed = self.q.strip()
        is_email = "@" in typed
        return Wanted(
            words=frozenset() if is_email else words_of(typed),
            email=typed.lower() if is_email else "",
            role=self.role if self.role in ROLES else "",
            is_disabled={ENABLED: False, DISABLED: True}.get(self.state),
        )


async def _audits(
    uow: PostgresPortalUnitOfWork, tenant_id: str, before: int | None, wanted: WantedAudits
) -> tuple[list[Audit], Known]:
    """Return the audits, with what is known of the people that the entries and the search name."""
    found = await uow.audits.page(tenant_id, before, SHOWN + 1, wanted=wanted)
    searched = {known for each in wanted.actors if (known := as_id(each)) is not None}
    ids = ids_in(found) | searched
    users = await uow.users.of_customers(tenant_id, ids)
    names = await uow.users.names(tenant_id, ids | set(users.values()))
    purchases = await uow.timeline.search(tenant_id, Sought(among=ids), None, len(ids))
    return found, Known(
        {str(user_id): name for user_id, name in names.items()},
        {str(customer_id): str(user_id) for customer_id, user_id in users.items()},
        frozenset(str(each.id) for each in purchases),
    )


def _printable(texts: list[str] | None) -> list[str]:
    """Return the values that can be searched for at all."""
    return [each[:MOST_TYPED] for each in (texts or [])[:MOST_MEANT] if each.isprintable()]


def _day(text: str) -> datetime | None:
    """Return the first instant of the day, or None where the text is no day."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return datetime.combine(day, time.min, UTC) if 1 < day.year < date.max.year else None


def router(transactions: Store, passwords: PasswordHasher) -> APIRouter:
    routes, to = page_router(), AdminPages(transactions, passwords)
    routes.get("/audits")(to.audits)
    routes.post("/audits")(to.search_audits)
    routes.get("/audits/verification")(to.verification)
    routes.get("/submissions")(to.submissions)
    routes.get("/users")(to.users)
    routes.post("/users")(to.create)
    routes.post("/users/search")(to.search_users)
    return routes
