"""A page gets its user from the session cookie by these dependencies, which also check CSRF tokens.

    async def show(user: UserDep) -> Response: ...              # else 303 to /sign-in?next=…
    async def storefront(visitor: VisitorDep) -> Response: ...  # None: not signed in
    async def audits(user: Keeper) -> Response: ...             # 403 without one of its roles

Every request that is not a GET and comes with a cookie has to bring the CSRF token back, in the
header X-CSRF-Token or the form field `csrf_token`; pages show it by `csrf_token(request)`.
"""

import hmac
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import SplitResult, quote, urlsplit
from uuid import UUID

from fastapi import Depends, Request
from starlette.responses import RedirectResponse, Response

from libs.kernel.errors import RoleNeeded
from libs.runtime.auth import Authenticator, Caller
from libs.runtime.limits import READING
from libs.runtime.problems import Refusal
from services.portal.domain.session import Session
from services.portal.domain.user import ADMIN, OPERATOR, SELLER, User
from services.portal.infrastructure.identity.signed_tokens import Tokens
from services.portal.infrastructure.settings import PortalSettings
from services.portal.infrastructure.store.postgres import Store
from services.portal.infrastructure.store.vault import Vault

SESSION_COOKIE = "session"
VISITOR_COOKIE = "visitor"
BROWSER_COOKIE = "browser"
BROWSER_SECONDS = 180 * 24 * 3600
CSRF_HEADER = "X-CSRF-Token"
CSRF = {"type": "apiKey", "in": "header", "name": CSRF_HEADER}
"""A request that changes something and carries a session's cookie needs both."""
CSRF_FIELD = "csrf_token"
MAX_TOKEN = 100
SIGN_IN = "/sign-in"


@dataclass(frozen=True)
class NewSession:
    """`token` is the session's. `browser` names the browser at the next sign-in and gives no
    access.
    """

    token: str = field(repr=False)
    browser: str = field(repr=False)


class SignInRequired(Exception):
    """The page is for signed-in users. After the sign-in they go to `back`."""

    def __init__(self, back: str) -> None:
        super().__init__(back)
        self.back = back


class WrongCsrfToken(Refusal):
    status = 403
    code = "csrf"
    text = "The page is out of date: load it again and repeat."


class Sessions:
    """The dependencies below find these sessions as `app.state.sessions`."""

    def __init__(self, transactions: Store, settings: PortalSettings, vault: Vault) -> None:
        self._transactions = transactions
        self._vault = vault
        self._secure = settings.secure_cookies
        self._prefix = "__Host-" if settings.secure_cookies else ""
        self._seconds = settings.session_seconds

    @property
    def session_cookie(self) -> str:
        """Return the cookie's name. Browsers accept a name that begins with `__Host-` only from
        this host and over https, so that no other host of the domain can replace it.
        """
        return self._prefix + SESSION_COOKIE

    def _cookie(self, request: Request, name: str) -> str:
        return request.cookies.get(self._prefix + name, "")

    async def find(self, request: Request) -> tuple[Session, User] | None:
        """Return the request's session and user. They are looked up once for each request."""
        if not hasattr(request.state, "signed_in"):
            token = self._cookie(request, SESSION_COOKIE)
            request.state.signed_in = (
                await self._transactions.run(lambda uow: uow.sessions.find(token))
                if 0 < len(token) <= MAX_TOKEN
                else None
            )
        found: tuple[Session, User] | None = request.state.signed_in
        return found

    def csrf_token(self, request: Request) -> str:
        """Return the token, which belongs to the session, or to a visitor before one begins."""
        token = self._cookie(request, SESSION_COOKIE) or self._visitor(request)
        return masked(self._vault.csrf_token(token))

    def csrf_token_of(self, token: str) -> str:
        """Return the token of a session that begins with this answer."""
        return masked(self._vault.csrf_token(token))

    async def check_csrf(self, request: Request) -> None:
        """Raise WrongCsrfToken unless the request only reads, or brings the right token."""
        if request.method in READING:
            return
        known = self._cookie(request, SESSION_COOKIE) or self._cookie(request, VISITOR_COOKIE)
        sent = request.headers.get(CSRF_HEADER) or await _form_field(request)
        if not known or not hmac.compare_digest(self._vault.csrf_token(known), unmasked(sent)):
            raise WrongCsrfToken

    def begin(self, response: Response, session: NewSession) -> None:
        """Give the browser both tokens, in cookies that scripts cannot read."""
        self._set(response, SESSION_COOKIE, session.token, self._seconds)
        self._set(response, BROWSER_COOKIE, session.browser, BROWSER_SECONDS)

    def end(self, response: Response) -> None:
        response.delete_cookie(
            self.session_cookie, path="/", secure=self._secure, httponly=True, samesite="lax"
        )

    def browser_of(self, request: Request) -> str:
        """Return the token of a browser that has signed in before, or an empty text."""
        token = self._cookie(request, BROWSER_COOKIE)
        return token if len(token) <= MAX_TOKEN else ""

    def remember_visitor(self, request: Request, response: Response) -> None:
        """Set the cookie that the page's CSRF token is bound to, where it is new."""
        fresh = getattr(request.state, "visitor", None)
        if fresh is not None:
            self._set(response, VISITOR_COOKIE, fresh, self._seconds)

    def _set(self, response: Response, name: str, value: str, seconds: int) -> None:
        response.set_cookie(
            self._prefix + name,
            value,
            seconds,
            path="/",
            secure=self._secure,
            httponly=True,
            samesite="lax",
        )

    def _visitor(self, request: Request) -> str:
        known = self._cookie(request, VISITOR_COOKIE)
        if known and len(known) <= MAX_TOKEN:
            return known
        if not hasattr(request.state, "visitor"):
            request.state.visitor = secrets.token_urlsafe(32)
        fresh: str = request.state.visitor
        return fresh


class PortalAuthenticator(Authenticator):
    """The JSON API accepts a bearer token like every service, or the session of a page."""

    def __init__(self, settings: PortalSettings, tokens: Tokens, sessions: Sessions) -> None:
        super().__init__(settings, tokens)
        self._sessions = sessions

    @property
    def schemes(self) -> Mapping[str, Mapping[str, str]]:
        session = {"type": "apiKey", "in": "cookie", "name": self._sessions.session_cookie}
        return {**super().schemes, "session": session, "csrf": CSRF}

    @property
    def for_callers(self) -> Sequence[str]:
        return [name for name in self.schemes if name != "csrf"]

    async def caller_of(
        self, request: Request, authorization: str | None, tenant: str | None
    ) -> Caller:
        if authorization is None and (found := await self._sessions.find(request)):
            await self._sessions.check_csrf(request)
            return caller_for(found[1])
        return await super().caller_of(request, authorization, tenant)


def masked(secret: bytes) -> str:
    """Return a different text each time, so that the length of a compressed page reveals nothing
    about the secret in it.
    """
    mask = secrets.token_bytes(len(secret))
    return (mask + _xor(mask, secret)).hex()


def unmasked(text: str) -> bytes:
    """Return the secret, which is empty where the text is no masked secret."""
    try:
        raw = bytes.fromhex(text)
    except ValueError:
        return b""
    half = len(raw) // 2
    return _xor(raw[:half], raw[half:]) if len(raw) == 2 * half else b""


def _xor(one: bytes, other: bytes) -> bytes:
    return bytes(a ^ b for a, b in zip(one, other, strict=True))


def caller_for(user: User) -> Caller:
    """Return the user in the form that the JSON API uses for its callers."""
    return Caller(user.tenant_id, str(user.id), user.roles, user.customer_id)


def sessions_of(request: Request) -> Sessions:
    sessions: Sessions = request.app.state.sessions
    return sessions


def csrf_token(request: Request) -> str:
    """Return the token for the hidden field and the header of a page's forms."""
    return sessions_of(request).csrf_token(request)


async def _visitor(request: Request) -> User | None:
    sessions = sessions_of(request)
    await sessions.check_csrf(request)
    found = await sessions.find(request)
    return None if found is None else found[1]


async def _user(request: Request, visitor: Annotated[User | None, Depends(_visitor)]) -> User:
    if visitor is None:
        raise SignInRequired(_back(request))
    return visitor


async def _session(request: Request, _: Annotated[User, Depends(_user)]) -> UUID:
    found = await sessions_of(request).find(request)
    if found is None:
        raise SignInRequired(_back(request))
    return found[0].id


VisitorDep = Annotated[User | None, Depends(_visitor)]
UserDep = Annotated[User, Depends(_user)]
SessionIdDep = Annotated[UUID, Depends(_session)]


def require_roles(*roles: str) -> User:
    """Return a dependency on a signed-in user with one of these roles. It raises RoleNeeded."""

    async def allowed(user: UserDep) -> User:
        if not user.may(*roles):
            raise RoleNeeded(*roles)
        return user

    dependency: User = Depends(allowed)
    return dependency


Admin = Annotated[User, require_roles(ADMIN)]
Operator = Annotated[User, require_roles(OPERATOR)]
Keeper = Annotated[User, require_roles(OPERATOR, ADMIN)]
Seller = Annotated[User, require_roles(SELLER, ADMIN)]


def to_sign_in(request: Request, error: Exception) -> Response:
    """Answer SignInRequired. After a script's request for a part of a page, the whole page goes to
    the sign-in and comes back.
    """
    if "HX-Request" in request.headers:
        page = urlsplit(request.headers.get("HX-Current-URL", "/"))
        return Response(status_code=401, headers={"HX-Redirect": _place(_local(page))})
    return RedirectResponse(_place(error.back if isinstance(error, SignInRequired) else "/"), 303)


def _place(back: str) -> str:
    return f"{SIGN_IN}?next={quote(back, safe='/')}"


def _local(page: SplitResult) -> str:
    return local_path(page._replace(scheme="", netloc="").geturl())


def local_path(place: str | None) -> str:
    """Return a path of the portal to go to after signing in, whatever was requested."""
    parts = urlsplit((place or "").replace("\\", "/"))
    ours = not parts.scheme and not parts.netloc and parts.path.startswith("/")
    return parts._replace(fragment="").geturl() if ours and parts.path[1:2] != "/" else "/"


def _back(request: Request) -> str:
    """Return a page that can be shown again: after a form, the page that contains it."""
    if request.method in READING:
        query = f"?{request.url.query}" if request.url.query else ""
        return request.url.path + query
    return local_path(urlsplit(request.headers.get("referer", "/")).path)


async def _form_field(request: Request) -> str:
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind not in ("application/x-www-form-urlencoded", "multipart/form-data"):
        return ""
    value = (await request.form()).get(CSRF_FIELD, "")
    return value if isinstance(value, str) else ""
