"""A user with a forgotten password gets a link by mail, which leads to a form."""

import secrets
from collections.abc import Mapping
from functools import partial
from typing import Annotated
from urllib.parse import urlencode

import structlog
from fastapi import APIRouter, Query, Request, Response
from starlette.background import BackgroundTask

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from services.portal.application.ports import Mail, Mailer, PasswordHasher
from services.portal.application.request_password_reset import request_password_reset
from services.portal.application.reset_password import reset_password
from services.portal.domain.errors import InvalidUser, ResetRefused
from services.portal.domain.user import User, check_password
from services.portal.infrastructure.identity.sessions import MAX_TOKEN, VisitorDep
from services.portal.infrastructure.language import i18n
from services.portal.infrastructure.language.i18n import marked
from services.portal.infrastructure.language.sentences import said
from services.portal.infrastructure.store.postgres import Store
from services.portal.infrastructure.web.forms import Line, Secret
from services.portal.infrastructure.web.pages.page import page_router
from services.portal.infrastructure.web.templating import Flash, redirect, render

log = structlog.get_logger(__name__)

RESET = "/reset-password"

CHANGED = Flash(marked("The password was changed. Sign in with the new one."))
SUBJECT = marked("A new password for Mercado Veículo")
TEXT = marked(
    "Somebody, probably you, wants to set a new password for your account.\n\n"
    "This link is good for an hour, and once:\n\n%(link)s\n\n"
    "Was it not you? Then do nothing: your password stays as it is."
)


class ForgottenPasswords:
    """`mailer` is None where no mail can be sent. The links begin with `public_url` and never with
    what a request says, which anybody can forge.
    """

    def __init__(
        self, transactions: Store, passwords: PasswordHasher, mailer: Mailer | None, public_url: str
    ) -> None:
        self._transactions = transactions
        self._passwords = passwords
        self._mailer = mailer
        self._public_url = public_url

    async def ask(self, request: Request, visitor: VisitorDep) -> Response:
        return render(
            request,
            "pages/forgot_password.html",
            visitor,
            by_mail=self._mailer is not None,
            sent=False,
        )

    async def send(self, request: Request, visitor: VisitorDep, email: Line) -> Response:
        """Send the link after the answer, so that the answer and its time are the same whether or
        not a user has this e-mail.
        """
        response = render(
            request,
            "pages/forgot_password.html",
            visitor,
            by_mail=self._mailer is not None,
            sent=True,
        )
        if self._mailer is not None:
            response.background = BackgroundTask(self._send, self._mailer, email)
        return response

    async def _send(self, mailer: Mailer, email: str) -> None:
        token = secrets.token_urlsafe(32)
        work = partial(
            request_password_reset, email=email, token=token, audit_id=uuid7(), now=utc_now()
        )
        try:
            user = await self._transactions.run(work)
            if user is not None:
                await mailer.send(self._mail(user, token))
        except Exception:  # nobody waits for the result
            log.exception("no mail for a forgotten password was sent")

    def _mail(self, user: User, token: str) -> Mail:
        link = f"{self._public_url}{RESET}?{urlencode({'token': token})}"
        text = i18n.translated(TEXT, user.locale) % {"link": link}
        return Mail(user.id, user.email, i18n.translated(SUBJECT, user.locale), text)

    async def show(
        self,
        request: Request,
        visitor: VisitorDep,
        token: Annotated[str, Query(max_length=1000)] = "",
    ) -> Response:
        """Show the form. This does not use up the token, because mail programs open links before
        people do.
        """
        if await self._holder(token) is None:
            return self._no_longer_good(request, visitor)
        return self._form(request, visitor, token, {})

    async def set(
        self, request: Request, visitor: VisitorDep, token: Secret = "", password: Secret = ""
    ) -> Response:
        user = await self._holder(token)
        if user is None:
            return self._no_longer_good(request, visitor)
        try:
            check_password(password, email=user.email)
            password_hash = await self._passwords.hash(password)
            await self._transactions.run(
                partial(
                    reset_password,
                    token=token,
                    password_hash=password_hash,
                    audit_id=uuid7(),
                    now=utc_now(),
                )
            )
        except InvalidUser as error:
            return self._form(request, visitor, token, {"password": said(error)}, 422)
        except ResetRefused:  # the token was used meanwhile
            return self._no_longer_good(request, visitor)
        return redirect("/sign-in", CHANGED)

    async def _holder(self, token: str) -> User | None:
        if not 0 < len(token) <= MAX_TOKEN:
            return None
        return await self._transactions.read(lambda uow: uow.resets.find_user(token))

    def _form(
        self,
        request: Request,
        visitor: User | None,
        token: str,
        errors: Mapping[str, str],
        status: int = 200,
    ) -> Response:
        return render(
            request, "pages/reset_password.html", visitor, status=status, token=token, errors=errors
        )

    def _no_longer_good(self, request: Request, visitor: User | None) -> Response:
        return render(
            request, "pages/reset_password.html", visitor, status=410, token=None, errors={}
        )


def router(
    transactions: Store, passwords: PasswordHasher, mailer: Mailer | None, public_url: str
) -> APIRouter:
    routes = page_router()
    to = ForgottenPasswords(transactions, passwords, mailer, public_url)
    routes.get("/forgot-password")(to.ask)
    routes.post("/forgot-password")(to.send)
    routes.get(RESET)(to.show)
    routes.post(RESET)(to.set)
    return routes
