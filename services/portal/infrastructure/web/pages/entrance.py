"""Users sign in, sign up and sign out, and choose the language and colours of a device."""

from collections.abc import Mapping
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Form, Request, Response
from starlette.responses import RedirectResponse

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from libs.runtime.auth import DEFAULT_TENANT
from services.portal.application.create_user import create_user
from services.portal.application.ports import PasswordHasher
from services.portal.application.sign_out import sign_out
from services.portal.domain.errors import EmailTaken, InvalidUser, SignInRefused, TooManyAttempts
from services.portal.domain.user import (
    ADMIN,
    BUYER,
    LOCALES,
    OPERATOR,
    SELLER,
    User,
    check_password,
)
from services.portal.infrastructure.identity.sessions import (
    SessionIdDep,
    UserDep,
    VisitorDep,
    local_path,
    sessions_of,
)
from services.portal.infrastructure.language.i18n import marked
from services.portal.infrastructure.language.sentences import said
from services.portal.infrastructure.store.postgres import Store
from services.portal.infrastructure.web.auditing import act_of
from services.portal.infrastructure.web.forms import Back, Line, Next, Secret
from services.portal.infrastructure.web.held import MAX_HELD, Held
from services.portal.infrastructure.web.http_sessions import SignIns
from services.portal.infrastructure.web.pages.interrupted import resume_page, sign_in_page
from services.portal.infrastructure.web.pages.page import page_router
from services.portal.infrastructure.web.templating import (
    LOCALE_COOKIE,
    THEME_COOKIE,
    THEMES,
    Flash,
    locale_of,
    redirect,
    render,
)

A_YEAR = 31_536_000
PURPOSES = {"buy": (BUYER,), "sell": (SELLER,), "both": (BUYER, SELLER)}

WELCOME = Flash(marked("Welcome! Your account is ready."))
SIGNED_OUT = Flash(marked("You have signed out."), "info")


class Entrance:
    def __init__(self, transactions: Store, passwords: PasswordHasher, sign_ins: SignIns) -> None:
        self._transactions = transactions
        self._passwords = passwords
        self._sign_ins = sign_ins

    async def ask_who(self, request: Request, visitor: VisitorDep, back: Back = "/") -> Response:
        if visitor is not None:
            return redirect(local_path(back))
        return sign_in_page(request, back, {}, {})

    async def sign_in(
        self,
        request: Request,
        visitor: VisitorDep,
        email: Line,
        password: Secret,
        next: Next = "/",  # noqa: A002 (the field's name)
        held: Annotated[str, Form(max_length=MAX_HELD)] = "",
    ) -> Response:
        """Sign in. `held` is a form that was interrupted, with which the user goes on."""
        back, kept = local_path(next), Held.read(held)
        if visitor is not None:
            return resume_page(request, visitor, kept, back) if kept else redirect(back)
        try:
            user, session = await self._sign_ins.enter(request, email, password)
        except (SignInRefused, TooManyAttempts) as error:
            status = 429 if isinstance(error, TooManyAttempts) else 401
            errors = {"": said(error)}
            return sign_in_page(request, next, {"email": email}, errors, status, held=kept)
        if kept is None:
            response = redirect(back if back != "/" else home_of(user))
        else:
            token = sessions_of(request).csrf_token_of(session.token)
            response = resume_page(request, user, kept, back, csrf_token=token)
        sessions_of(request).begin(response, session)
        return response

    async def sign_out(self, request: Request, user: UserDep, session_id: SessionIdDep) -> Response:
        await self._transactions.run(
            partial(sign_out, act=act_of(user), user_id=user.id, session_id=session_id)
        )
        response = redirect("/", SIGNED_OUT)
        sessions_of(request).end(response)
        return response

    async def ask_to_join(
        self, request: Request, visitor: VisitorDep, back: Back = "/account"
    ) -> Response:
        if visitor is not None:
            return redirect(local_path(back))
        return _join_page(request, {"purpose": "buy", "next": back}, {})

    async def join(
        self,
        request: Request,
        visitor: VisitorDep,
        name: Line,
        email: Line,
        password: Secret,
        purpose: Line = "buy",
        next: Next = "/account",  # noqa: A002 (the field's name)
    ) -> Response:
        if visitor is not None:
            return redirect(local_path(next))
        values = {"name": name, "email": email, "purpose": purpose, "next": next}
        try:
            check_password(password, email=email.strip().lower())
            password_hash = await self._passwords.hash(password)
            await self._transactions.run(
                partial(
                    create_user,
                    tenant_id=DEFAULT_TENANT,
                    name=name,
                    email=email,
                    password_hash=password_hash,
                    roles=PURPOSES.get(purpose, ()),
                    locale=locale_of(request, None),
                    actor=None,
                    new_id=uuid7,
                    now=utc_now(),
                )
            )
            return await self._enter(request, email, password, redirect(local_path(next), WELCOME))
        except (InvalidUser, EmailTaken) as error:
            field = error.field or ("email" if isinstance(error, EmailTaken) else "")
            return _join_page(request, values, {field: said(error)}, 422)
        except (SignInRefused, TooManyAttempts):
            return redirect("/sign-in")

    async def _enter(
        self, request: Request, email: str, password: str, response: Response
    ) -> Response:
        _, session = await self._sign_ins.enter(request, email, password)
        sessions_of(request).begin(response, session)
        return response


def router(transactions: Store, passwords: PasswordHasher, sign_ins: SignIns) -> APIRouter:
    routes, to = page_router(), Entrance(transactions, passwords, sign_ins)
    routes.get("/sign-in")(to.ask_who)
    routes.post("/sign-in")(to.sign_in)
    routes.post("/sign-out")(to.sign_out)
    routes.get("/register")(to.ask_to_join)
    routes.post("/register")(to.join)
    routes.get("/language/{code}")(choose_language)
    routes.get("/theme/{name}")(choose_theme)
    return routes


async def choose_language(code: str, back: Back = "/") -> Response:
    return _remember(LOCALE_COOKIE, code if code in LOCALES else "", back)


async def choose_theme(name: str, back: Back = "/") -> Response:
    return _remember(THEME_COOKIE, name if name in THEMES else "", back)


def _remember(cookie: str, value: str, back: str) -> Response:
    response = RedirectResponse(local_path(back), 303, {"Cache-Control": "no-store"})
    if value:
        response.set_cookie(cookie, value, A_YEAR, httponly=True, samesite="lax")
    else:
        response.delete_cookie(cookie)
    return response


def home_of(user: User) -> str:
    """Return the first page of a user who requested no page in particular."""
    if user.may(OPERATOR, ADMIN):
        return "/operations"
    return "/" if user.may(BUYER) else "/sell"


def _join_page(
    request: Request, values: Mapping[str, str], errors: Mapping[str, str], status: int = 200
) -> Response:
    return render(request, "pages/register.html", None, status=status, values=values, errors=errors)
