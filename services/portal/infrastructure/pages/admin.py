"""Audits, submissions of everybody, and users."""

from dataclasses import dataclass
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response

from libs.kernel.clock import utc_now
from libs.kernel.errors import DomainError
from libs.kernel.ids import uuid7
from libs.messaging.outbox.unit_of_work import Transactions
from services.portal.application.create_user import create_user
from services.portal.application.ports import PasswordHasher, Wanted
from services.portal.application.verify_audits import verify_audits
from services.portal.domain.audit import Audit
from services.portal.domain.errors import UserNotFound
from services.portal.domain.user import (
    ADMIN,
    BUYER,
    LOCALES,
    OPERATOR,
    User,
    check_password,
    known_roles,
    normal_email,
    normal_name,
    words_of,
)
from services.portal.infrastructure.i18n import LANGUAGES, marked
from services.portal.infrastructure.pages.page import page_router
from services.portal.infrastructure.pages.roles import ROLES
from services.portal.infrastructure.postgres import PortalUnitOfWork
from services.portal.infrastructure.sessions import require_roles
from services.portal.infrastructure.templating import Flash, redirect, render

Keeper = Annotated[User, require_roles(OPERATOR, ADMIN)]
Admin = Annotated[User, require_roles(ADMIN)]
SHOWN = 50
MOST_TYPED = 200
ENABLED, DISABLED = "enabled", "disabled"
USER_STATES = {ENABLED: marked("Can sign in"), DISABLED: marked("Disabled")}

CREATED = Flash(marked("The user was created."))


class AdminPages:
    """Each public method is one address of `router` below."""

    def __init__(
        self, transactions: Transactions[PortalUnitOfWork], passwords: PasswordHasher
    ) -> None:
        self._transactions = transactions
        self._passwords = passwords

    async def audits(
        self, request: Request, user: Keeper, before: str = "", action: str = ""
    ) -> Response:
        start = int(before) if before.isascii() and before.isdigit() and len(before) < 16 else None
        found, people = await self._transactions.run(
            lambda uow: _audits(uow, user.tenant_id, start, action.strip()[:100] or None)
        )
        shown = found[:SHOWN]
        return render(
            request,
            "audits.html",
            user,
            audits=shown,
            people=people,
            older=shown[-1].sequence if len(found) > SHOWN else None,
            values={"action": action[:100]},
        )

    async def verification(self, request: Request, user: Keeper) -> Response:
        report = await self._transactions.run(
            lambda uow: verify_audits(uow, tenant_id=user.tenant_id)
        )
        return render(request, "audit_chain.html", user, report=report)

    async def submissions(self, request: Request, user: Keeper, after: str = "") -> Response:
        start = _id(after)
        found = await self._transactions.read(
            lambda uow: uow.submissions.page(user.tenant_id, start, SHOWN + 1)
        )
        shown = found[:SHOWN]
        older = shown[-1].id if len(found) > SHOWN else None
        return render(request, "submissions.html", user, submissions=shown, older=older)

    async def users(
        self, request: Request, user: Admin, role: str = "", state: str = "", after: str = ""
    ) -> Response:
        return await self._users(request, user, Search("", role, state, after))

    async def search_users(
        self,
        request: Request,
        user: Admin,
        q: Annotated[str, Form()] = "",
        role: Annotated[str, Form()] = "",
        state: Annotated[str, Form()] = "",
        after: Annotated[str, Form()] = "",
    ) -> Response:
        """What is typed may be personal data, and stays out of addresses."""
        return await self._users(request, user, Search(q[:MOST_TYPED], role, state, after))

    async def create(
        self,
        request: Request,
        user: Admin,
        name: Annotated[str, Form()] = "",
        email: Annotated[str, Form()] = "",
        password: Annotated[str, Form()] = "",
        locale: Annotated[str, Form()] = "en",
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
            errors = {error.field or "": str(error)}
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
        errors: dict[str, str] | None = None,
        roles: frozenset[str] = frozenset({BUYER}),
    ) -> Response:
        found = await self._transactions.read(
            lambda uow: uow.users.page(
                user.tenant_id, _id(search.after), SHOWN + 1, search.wanted()
            )
        )
        shown = found[:SHOWN]
        return render(
            request,
            "users.html",
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
    """Which users are looked for, as it came with the request."""

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
    uow: PortalUnitOfWork, tenant_id: str, before: int | None, action: str | None
) -> tuple[list[Audit], dict[str, str]]:
    """With the names of those among the actors who still are users, by id."""
    found = await uow.audits.page(tenant_id, before, SHOWN + 1, action)
    people: dict[str, str] = {}
    for actor in {audit.entry.actor for audit in found}:
        user_id = _id(actor)
        if user_id is not None:
            try:
                people[actor] = (await uow.users.get(tenant_id, user_id)).name
            except UserNotFound:
                continue
    return found, people


def _id(text: str) -> UUID | None:
    """None also for what is no id: a list then begins at its beginning."""
    try:
        return UUID(text)
    except ValueError:
        return None


def router(transactions: Transactions[PortalUnitOfWork], passwords: PasswordHasher) -> APIRouter:
    routes, to = page_router(), AdminPages(transactions, passwords)
    routes.get("/audits")(to.audits)
    routes.get("/audits/verification")(to.verification)
    routes.get("/submissions")(to.submissions)
    routes.get("/users")(to.users)
    routes.post("/users")(to.create)
    routes.post("/users/search")(to.search_users)
    return routes
