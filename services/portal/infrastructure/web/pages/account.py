"""Users see and change their own account: the customer record and the password."""

from collections.abc import Mapping
from functools import partial
from uuid import UUID

from fastapi import APIRouter, Request, Response

from libs.kernel.errors import DomainError
from services.portal.application.change_password import change_password
from services.portal.application.link_customer import link_customer
from services.portal.application.ports import PasswordHasher
from services.portal.domain.errors import InvalidUser
from services.portal.domain.user import User, check_password
from services.portal.infrastructure.identity.sessions import (
    SessionIdDep,
    UserDep,
    local_path,
    sessions_of,
)
from services.portal.infrastructure.language.i18n import marked
from services.portal.infrastructure.language.sentences import said
from services.portal.infrastructure.peers.client import PeerRefusal, Peers, PeerUnavailable
from services.portal.infrastructure.store.postgres import Store
from services.portal.infrastructure.web.auditing import Auditing, act_of
from services.portal.infrastructure.web.credit_view import Credit
from services.portal.infrastructure.web.forms import Back, Line, Next, NotANumber, Secret, limit_of
from services.portal.infrastructure.web.pages.page import page_router
from services.portal.infrastructure.web.templating import Flash, redirect, render
from services.portal.infrastructure.web.wording import refusal_message

REGISTERED = Flash(marked("Thank you. You are registered as a customer."))
SAVED = Flash(marked("Saved."))
PASSWORD_CHANGED = Flash(marked("The password was changed. You are signed out everywhere else."))
WRONG_PASSWORD = marked("This is not your password.")
NO_EMAIL = marked(
    "Your e-mail is stored and cannot be read just now. Please tell an administrator."
)


class Account:
    def __init__(
        self, transactions: Store, peers: Peers, auditing: Auditing, passwords: PasswordHasher
    ) -> None:
        self._transactions = transactions
        self._peers = peers
        self._auditing = auditing
        self._passwords = passwords

    async def show(self, request: Request, user: UserDep, back: Back = "") -> Response:
        return await self._page(request, user, {"next": back, "name": user.name}, {})

    async def register_customer(
        self,
        request: Request,
        user: UserDep,
        name: Line,
        phone: Line,
        document: Line,
        next: Next = "",  # noqa: A002 (the field's name)
    ) -> Response:
        """Store the user's own customer record. Sent again, also with corrections, it is the same
        one.
        """
        values = {"name": name, "phone": phone, "document": document}
        if not user.email:
            return await self._page(request, user, {**values, "next": next}, {"": NO_EMAIL}, 409)
        body = {**values, "email": user.email}

        async def register() -> UUID:
            path = f"/users/{user.id}/customer"
            made = await self._peers.send(user, "customers", "PUT", path, body)
            return UUID(made.body["id"])

        async def save(customer_id: UUID) -> None:
            await self._transactions.run(
                partial(
                    link_customer,
                    tenant_id=user.tenant_id,
                    user_id=user.id,
                    customer_id=customer_id,
                )
            )

        try:
            await save(
                await self._auditing.audited(user, "customer.registered", str(user.id), register())
            )
        except (PeerUnavailable, PeerRefusal, DomainError) as error:
            return await self._again(request, user, {**values, "next": next}, error)
        return redirect(local_path(next) if next else "/account", REGISTERED)

    async def ask_for_credit(
        self,
        request: Request,
        user: UserDep,
        wanted: Line = "",
        next: Next = "",  # noqa: A002 (the field's name)
    ) -> Response:
        values = {"wanted": wanted, "next": next}
        if user.customer_id is None:
            return redirect("/account")
        path = f"/customers/{user.customer_id}/credit-request"
        try:
            body = {"wanted_limit_cents": limit_of(wanted, "wanted")}
            sending = self._peers.send(user, "customers", "PUT", path, body)
            about = str(user.customer_id)
            await self._auditing.audited(user, "credit.asked_for", about, sending)
        except NotANumber as error:
            return await self._page(request, user, values, {"wanted": str(error)}, 422)
        except PeerRefusal as refusal:
            errors = {"wanted": refusal_message(refusal)}
            return await self._page(request, user, values, errors, refusal.status)
        except PeerUnavailable as error:
            return await self._again(request, user, values, error)
        return redirect(local_path(next) if next else "/account")

    async def change_customer(
        self,
        request: Request,
        user: UserDep,
        version: Line,
        name: Line = "",
        email: Line = "",
        phone: Line = "",
    ) -> Response:
        """Change the fields that are not empty."""
        values = {"name": name, "email": email, "phone": phone}
        changes = {field: text for field, text in values.items() if text.strip()}
        about = str(user.customer_id)
        path = f"/customers/{about}"
        try:
            if changes and user.customer_id is not None:
                sending = self._peers.send(
                    user, "customers", "PATCH", path, changes, version=version
                )
                await self._auditing.audited(user, "customer.changed", about, sending)
        except (PeerUnavailable, PeerRefusal) as error:
            return await self._again(request, user, values, error)
        return redirect("/account", SAVED)

    async def change_password(
        self,
        request: Request,
        user: UserDep,
        session_id: SessionIdDep,
        current_password: Secret,
        password: Secret,
    ) -> Response:
        """Change the password and end every other session of the user."""
        if not await self._passwords.verify(current_password, user.password_hash):
            return await self._page(request, user, {}, {"current_password": WRONG_PASSWORD}, 422)
        try:
            check_password(password, email=user.email)
        except InvalidUser as error:
            return await self._page(request, user, {}, {"password": said(error)}, 422)
        await self._transactions.run(
            partial(
                change_password,
                act=act_of(user),
                user_id=user.id,
                password_hash=await self._passwords.hash(password),
                session_id=session_id,
                browser=sessions_of(request).browser_of(request),
            )
        )
        return redirect("/account", PASSWORD_CHANGED)

    async def _again(
        self,
        request: Request,
        user: User,
        values: Mapping[str, str],
        error: PeerUnavailable | PeerRefusal | DomainError,
    ) -> Response:
        """Show the form with the user's input and what is wrong with it."""
        match error:
            case PeerUnavailable(service=service):
                return await self._page(request, user, values, {}, 503, [service])
            case PeerRefusal(fields=fields, status=status):
                return await self._page(request, user, values, fields, status)
            case DomainError():
                return await self._page(request, user, values, {"": said(error)}, 409)

    async def _page(
        self,
        request: Request,
        user: User,
        values: Mapping[str, str],
        errors: Mapping[str, str],
        status: int = 200,
        down: list[str] | None = None,
    ) -> Response:
        """Show users their own data as it is stored, not masked."""
        down, customer, version = list(down or ()), None, ""
        if user.customer_id is not None:
            path = f"/customers/{user.customer_id}"
            try:
                found = await self._peers.get(user, "customers", path, full="true")
                customer, version = found.body, found.version
            except PeerUnavailable as error:
                down = sorted({*down, error.service})
            except PeerRefusal:
                down = sorted({*down, "customers"})
        return render(
            request,
            "pages/account.html",
            user,
            status=status,
            customer=customer,
            credit=Credit.of(customer) if customer else None,
            version=version,
            values=dict(values),
            errors=dict(errors),
            down=down,
        )


def router(
    transactions: Store, peers: Peers, auditing: Auditing, passwords: PasswordHasher
) -> APIRouter:
    routes, to = page_router(), Account(transactions, peers, auditing, passwords)
    routes.get("/account")(to.show)
    routes.post("/account/customer")(to.register_customer)
    routes.post("/account/credit")(to.ask_for_credit)
    routes.post("/account/customer/change")(to.change_customer)
    routes.post("/account/password")(to.change_password)
    return routes
