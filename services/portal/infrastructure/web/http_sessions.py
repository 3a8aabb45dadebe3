"""Users sign in and out, see their sessions, and get tokens over the JSON API."""

import secrets
from functools import partial
from ipaddress import IPv6Address, ip_address, ip_network
from math import ceil
from typing import Any
from uuid import UUID

from fastapi import APIRouter, Request, Response
from pydantic_core import to_json

from libs.kernel.clock import utc_now
from libs.kernel.errors import Forbidden, NotFound
from libs.kernel.ids import uuid7
from libs.runtime.declared import refuses
from libs.runtime.problems import Refusal, problem
from libs.runtime.routes import api_router
from services.portal.application.ports import PasswordHasher, Place
from services.portal.application.sign_in import sign_in
from services.portal.application.sign_out import sign_out
from services.portal.domain.errors import SignInRefused, TooManyAttempts
from services.portal.domain.session import Session
from services.portal.domain.user import User
from services.portal.infrastructure.identity.sessions import (
    NewSession,
    sessions_of,
)
from services.portal.infrastructure.identity.signed_tokens import Tokens
from services.portal.infrastructure.schemas import (
    Credentials,
    SessionOut,
    SessionsOut,
    SignedIn,
    TokenOut,
    UserOut,
)
from services.portal.infrastructure.settings import PortalSettings
from services.portal.infrastructure.store.postgres import Store
from services.portal.infrastructure.web.auditing import act_of

MAX_DEVICE = 200


class ForeignPage(Forbidden):
    code = "foreign-page"
    text = "Sign in from a page of the portal."


class SessionNotFound(NotFound):
    code = "session-not-found"
    text = "There is no such session."


def challenge(cookie: str) -> dict[str, str]:
    return {"WWW-Authenticate": f'Cookie cookie-name="{cookie}"'}


class SessionNeeded(Refusal):
    status = 401
    code = "unauthenticated"
    text = "This needs the cookie {cookie}."

    def __init__(self, cookie: str) -> None:
        super().__init__(headers=challenge(cookie), cookie=cookie)


class SignIns:
    """The JSON API and the page sign users in by this class."""

    def __init__(
        self, transactions: Store, settings: PortalSettings, passwords: PasswordHasher
    ) -> None:
        self._transactions = transactions
        self._lifetime = settings.session_lifetime
        self._passwords = passwords

    async def enter(self, request: Request, email: str, password: str) -> tuple[User, NewSession]:
        """Return the user and the new session. Raises SignInRefused, TooManyAttempts."""
        token = secrets.token_urlsafe(32)
        browser = sessions_of(request).browser_of(request) or secrets.token_urlsafe(32)
        user = await sign_in(
            self._transactions,
            self._passwords,
            email=email,
            password=password,
            place=Place(address_of(request), browser),
            device=request.headers.get("user-agent", "unknown")[:MAX_DEVICE],
            token=token,
            lifetime=self._lifetime,
            new_id=uuid7,
            now=utc_now(),
        )
        return user, NewSession(token, browser)


class Endpoints:
    def __init__(
        self, transactions: Store, settings: PortalSettings, tokens: Tokens, sign_ins: SignIns
    ) -> None:
        self._transactions = transactions
        self._tokens = tokens
        self._seconds = settings.token_seconds
        self._sign_ins = sign_ins

    async def jwks(self) -> dict[str, Any]:
        """Return the public keys of the tokens that this portal signs."""
        return await self._tokens.jwks()

    @refuses(401, 403, 429)
    async def begin(self, body: Credentials, request: Request) -> Response:
        """Sign in. The session comes as a cookie."""
        if request.headers.get("sec-fetch-site", "none") not in ("none", "same-origin"):
            raise ForeignPage
        try:
            user, session = await self._sign_ins.enter(request, body.email, body.password)
        except SignInRefused as error:
            return problem(error, headers=challenge(sessions_of(request).session_cookie))
        except TooManyAttempts as error:
            wait = str(ceil(error.wait.total_seconds()))
            return problem(error, headers={"Retry-After": wait})
        csrf = sessions_of(request).csrf_token_of(session.token)
        answer = SignedIn(user=UserOut.of(user), csrf_token=csrf)
        response = Response(to_json(answer), 201, media_type="application/json")
        sessions_of(request).begin(response, session)
        return response

    @refuses(401, schemes=("session",))
    async def list_own(self, request: Request) -> SessionsOut:
        """List the user's sessions."""
        session, user = await _signed_in(request)
        found = await self._transactions.read(lambda uow: uow.sessions.of_user(user.id))
        return SessionsOut(items=[SessionOut.of(each, session.id) for each in found])

    @refuses(401, 403, schemes=("session", "csrf"))
    async def end_current(self, request: Request) -> Response:
        """Sign out."""
        session, _ = await _signed_in(request)
        return await self.end(session.id, request)

    @refuses(401, 403, schemes=("session", "csrf"))
    async def end(self, session_id: UUID, request: Request) -> Response:
        """End a session of the user, here or elsewhere."""
        session, user = await _signed_in(request)
        work = partial(sign_out, act=act_of(user), user_id=user.id, session_id=session_id)
        if not await self._transactions.run(work):
            raise SessionNotFound
        response = Response(status_code=204)
        if session_id == session.id:
            sessions_of(request).end(response)
        return response

    @refuses(401, 403, schemes=("session", "csrf"))
    async def token(self, request: Request) -> TokenOut:
        """Return a short-lived token for the signed-in user, which every service accepts."""
        _, user = await _signed_in(request)
        return TokenOut(access_token=await self._tokens.mint(user), expires_in=self._seconds)


def address_of(request: Request) -> str:
    """Return the address that sign-in attempts count against: an IPv4 address, or the /64 of an
    IPv6 address, because one party has all of it.
    """
    host = request.client.host if request.client else ""
    try:
        address = ip_address(host)
    except ValueError:
        return host or "unknown"
    if isinstance(address, IPv6Address) and address.ipv4_mapped is None:
        return str(ip_network((address, 64), strict=False))
    return str(getattr(address, "ipv4_mapped", None) or address)


async def _signed_in(request: Request) -> tuple[Session, User]:
    """Return the session and its user. Sessions belong to browsers, so a bearer token is not
    enough.
    """
    sessions = sessions_of(request)
    found = await sessions.find(request)
    if found is None:
        raise SessionNeeded(sessions.session_cookie)
    await sessions.check_csrf(request)
    return found


def router(
    transactions: Store, settings: PortalSettings, tokens: Tokens, passwords: PasswordHasher
) -> APIRouter:
    sign_ins = SignIns(transactions, settings, passwords)
    routes, to = api_router(tags=["sessions"]), Endpoints(transactions, settings, tokens, sign_ins)
    routes.get("/.well-known/jwks.json", operation_id="get_keys")(to.jwks)
    routes.post("/api/sessions", status_code=201, response_model=SignedIn, operation_id="sign_in")(
        to.begin
    )
    routes.get("/api/sessions", response_model=SessionsOut, operation_id="list_sessions")(
        to.list_own
    )
    routes.delete("/api/sessions/current", status_code=204, operation_id="sign_out")(to.end_current)
    routes.delete("/api/sessions/{session_id}", status_code=204, operation_id="end_session")(to.end)
    routes.post("/api/token", response_model=TokenOut, operation_id="make_token")(to.token)
    return routes
