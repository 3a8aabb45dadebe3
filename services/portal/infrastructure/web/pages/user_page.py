"""Admins see one user, with the roles and a buyer's credit limit."""

from collections.abc import Collection, Mapping
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Form, Request, Response

from libs.kernel.errors import DomainError
from services.portal.application.change_password import change_password
from services.portal.application.change_roles import change_roles
from services.portal.application.disable_user import disable_user
from services.portal.application.enable_user import enable_user
from services.portal.application.ports import PasswordHasher
from services.portal.domain.errors import LastAdmin, NothingKept, UserNotFound
from services.portal.domain.user import User, check_password
from services.portal.infrastructure.identity.sessions import Admin
from services.portal.infrastructure.language.i18n import marked
from services.portal.infrastructure.language.sentences import said
from services.portal.infrastructure.peers.client import PeerRefusal, Peers, PeerUnavailable
from services.portal.infrastructure.store.postgres import Store
from services.portal.infrastructure.web.auditing import Auditing, act_of
from services.portal.infrastructure.web.forms import NotANumber, Text, amount_of, limit_of
from services.portal.infrastructure.web.pages.page import page_router
from services.portal.infrastructure.web.pages.roles import ROLES
from services.portal.infrastructure.web.templating import Flash, redirect, render
from services.portal.infrastructure.web.wording import refusal_message

ONE = "/users/{user_id}"

CHANGED = Flash(marked("The roles were changed. They count from the next request on."))
DISABLED = Flash(marked("The user is signed out everywhere and cannot sign in any more."))
ENABLED = Flash(marked("The user can sign in again."))
PASSWORD_SET = Flash(marked("The user can sign in with the new password."))
LIMIT_SET = Flash(marked("The credit limit was changed."))
NOT_SURE = marked("Tick the box to confirm.")

YES = "yes"
"""The confirmation box sends this, beside a button whose effect is hard to undo."""


class UserPage:
    def __init__(self, transactions: Store, peers: Peers, passwords: PasswordHasher) -> None:
        self._transactions = transactions
        self._peers = peers
        self._passwords = passwords
        self._auditing = Auditing(transactions)

    async def show(self, request: Request, user: Admin, user_id: UUID) -> Response:
        return await self._page(request, user, user_id)

    async def set_roles(
        self,
        request: Request,
        user: Admin,
        user_id: UUID,
        roles: Annotated[list[str] | None, Form()] = None,
        sure: Text = "",
    ) -> Response:
        if sure != YES:
            return await self._unsure(request, user, user_id, "sure_roles", roles=roles)
        try:
            await self._transactions.run(
                lambda uow: change_roles(uow, act=act_of(user), user_id=user_id, roles=roles or [])
            )
        except UserNotFound:
            raise
        except DomainError as error:
            return await self._page(request, user, user_id, errors={"roles": said(error)})
        return redirect(f"/users/{user_id}", CHANGED)

    async def disable(
        self, request: Request, user: Admin, user_id: UUID, sure: Text = ""
    ) -> Response:
        if sure != YES:
            return await self._unsure(request, user, user_id, "sure_disable")
        try:
            await self._transactions.run(
                lambda uow: disable_user(uow, act=act_of(user), user_id=user_id)
            )
        except LastAdmin as error:
            return await self._page(request, user, user_id, errors={"disable": said(error)})
        return redirect(f"/users/{user_id}", DISABLED)

    async def enable(self, request: Request, user: Admin, user_id: UUID) -> Response:
        try:
            await self._transactions.run(
                lambda uow: enable_user(uow, act=act_of(user), user_id=user_id)
            )
        except NothingKept as error:
            return await self._page(request, user, user_id, errors={"password": said(error)})
        return redirect(f"/users/{user_id}", ENABLED)

    async def set_password(
        self,
        request: Request,
        user: Admin,
        user_id: UUID,
        password: Annotated[str, Form(max_length=1000)] = "",
        sure: Text = "",
    ) -> Response:
        one = await self._find(user, user_id)
        if sure != YES:
            return await self._unsure(request, user, user_id, "sure_password")
        try:
            check_password(password, email=one.email)
        except DomainError as error:
            return await self._page(request, user, user_id, errors={"password": said(error)})
        password_hash = await self._passwords.hash(password)
        await self._transactions.run(
            lambda uow: change_password(
                uow, act=act_of(user), user_id=user_id, password_hash=password_hash, session_id=None
            )
        )
        return redirect(f"/users/{user_id}", PASSWORD_SET)

    async def set_credit_limit(
        self,
        request: Request,
        user: Admin,
        user_id: UUID,
        limit: Annotated[str, Form(max_length=40)] = "",
        version: Annotated[str, Form(max_length=20)] = "",
    ) -> Response:
        """Set the limit. `version` is that of the customer's record as it was shown."""
        one = await self._find(user, user_id)
        path = f"/customers/{one.customer_id}/credit-limit"
        try:
            body = {"limit_cents": limit_of(limit, "limit")}
            sending = self._peers.send(user, "customers", "PUT", path, body, version=version)
            about = str(one.customer_id)
            await self._auditing.audited(user, "credit_limit.changed", about, sending)
        except NotANumber as error:
            trouble = str(error)
        except PeerUnavailable as error:
            return await self._page(request, user, user_id, limit=limit, down=[error.service])
        except PeerRefusal as refusal:
            trouble = refusal_message(refusal)
        else:
            return redirect(f"/users/{user_id}", LIMIT_SET)
        return await self._page(request, user, user_id, errors={"limit": trouble}, limit=limit)

    async def _unsure(
        self,
        request: Request,
        user: User,
        user_id: UUID,
        name: str,
        roles: Collection[str] | None = None,
    ) -> Response:
        """Show the page again with the chosen `roles`. It asks for the box beside the button."""
        return await self._page(request, user, user_id, errors={name: NOT_SURE}, chosen=roles)

    async def _find(self, user: User, user_id: UUID) -> User:
        return await self._transactions.read(lambda uow: uow.users.get(user.tenant_id, user_id))

    async def _page(
        self,
        request: Request,
        user: User,
        user_id: UUID,
        *,
        errors: Mapping[str, str] | None = None,
        limit: str | None = None,
        down: list[str] | None = None,
        chosen: Collection[str] | None = None,
    ) -> Response:
        one, down = await self._find(user, user_id), down or []
        credit, version = None, ""
        if one.customer_id is not None:
            try:
                found = await self._peers.get(user, "customers", f"/customers/{one.customer_id}")
                credit, version = found.body, found.version
            except (PeerUnavailable, PeerRefusal):
                down = down or ["customers"]
        if limit is None and credit is not None:
            limit = amount_of(credit["credit_limit_cents"])
        return render(
            request,
            "pages/user.html",
            user,
            status=422 if errors else 503 if down else 200,
            one=one,
            chosen=one.roles if chosen is None else chosen,
            roles=ROLES,
            errors=errors or {},
            credit=credit,
            version=version,
            values={"limit": limit or ""},
            down=down,
        )


def router(transactions: Store, peers: Peers, passwords: PasswordHasher) -> APIRouter:
    routes, to = page_router(), UserPage(transactions, peers, passwords)
    routes.get(ONE)(to.show)
    routes.post(f"{ONE}/roles")(to.set_roles)
    routes.post(f"{ONE}/disable")(to.disable)
    routes.post(f"{ONE}/enable")(to.enable)
    routes.post(f"{ONE}/password")(to.set_password)
    routes.post(f"{ONE}/credit-limit")(to.set_credit_limit)
    return routes
