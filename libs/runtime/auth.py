"""A JWT with an asymmetric signature says who is calling; with AUTH=off everyone may call."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Protocol
from uuid import UUID

import jwt
from fastapi import Depends, Header, Request

from libs.kernel.errors import Forbidden, RoleNeeded
from libs.runtime.declared import CALLERS, refuses
from libs.runtime.jwks import KeySet, KeysUnavailable
from libs.runtime.problems import BadRequest, HeaderRequired, Refusal, Unavailable
from libs.runtime.settings import ServiceSettings

ROLES = frozenset({"buyer", "seller", "operator", "admin"})
ALGORITHMS = ("ES256", "EdDSA")
"""The algorithms are asymmetric: a symmetric key, or none, is never accepted."""
LEEWAY_SECONDS = 5
DEFAULT_TENANT = "default"
MAX_TOKEN = 4096

TENANT = r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}"
_TENANT = re.compile(TENANT)
TenantHeader = Annotated[str | None, Header(json_schema_extra={"pattern": f"^{TENANT}$"})]

BEARER = {"type": "http", "scheme": "bearer", "bearerFormat": "JWT"}


@dataclass(frozen=True)
class Caller:
    """A request is made for a caller. `customer_id` is the buyer's own customer record. `until` is
    when the caller's token expires, in seconds since the epoch; None without a token.
    """

    tenant_id: str
    subject: str
    roles: frozenset[str]
    customer_id: UUID | None
    until: float | None = None

    def may(self, *roles: str) -> bool:
        """Return whether the caller has one of these roles."""
        return not self.roles.isdisjoint(roles)

    def require(self, *roles: str) -> None:
        """Raise RoleNeeded unless the caller has one of these roles."""
        if not self.may(*roles):
            raise RoleNeeded(*roles)

    def owns_customer(self, customer_id: UUID | None) -> bool:
        """Return whether that is the caller's own record. With AUTH=off it never is, and the roles
        decide.
        """
        return customer_id is not None and self.customer_id == customer_id


class Unauthenticated(Refusal):
    """`detail` says what is wrong with the token."""

    status = 401
    code = "unauthenticated"
    text = "The request does not say who makes it."

    def __init__(self, detail: str, *, challenge: str = 'Bearer error="invalid_token"') -> None:
        super().__init__(detail, headers={"WWW-Authenticate": challenge})


class MalformedTenant(BadRequest):
    text = "X-Tenant-Id must be 1 to 64 letters, digits, '.', '_' or '-'."

    def __init__(self) -> None:
        super().__init__(field="X-Tenant-Id")


class OtherTenant(Forbidden):
    code = "other-tenant"
    text = "The token is for another tenant."

    def __init__(self) -> None:
        super().__init__(field="X-Tenant-Id")


class TokensUnchecked(Unavailable):
    text = "Tokens cannot be checked just now."


class Keys(Protocol):
    async def key(self, kid: str) -> jwt.PyJWK | None:
        """Return the public key of that id; None when there is no such key."""

    async def load(self) -> None:
        """Read the keys now. Raises KeysUnavailable where that fails."""


class Authenticator:
    """An authenticator finds the caller by the bearer token. `keys` is None where AUTH=off."""

    def __init__(self, settings: ServiceSettings, keys: Keys | None = None) -> None:
        if keys is None and settings.auth == "on":
            keys = KeySet(settings.jwks_url)
        self.keys = keys
        self._issuer = settings.jwt_issuer
        self._audience = settings.jwt_audience

    @property
    def schemes(self) -> Mapping[str, Mapping[str, str]]:
        """Return the OpenAPI security schemes by name; none where AUTH=off."""
        return {} if self.keys is None else {"bearer": BEARER}

    @property
    def for_callers(self) -> Sequence[str]:
        """Return the schemes of which any one is enough to tell who is calling."""
        return list(self.schemes)

    async def caller_of(
        self,
        request: Request,  # noqa: ARG002 - a service that knows callers otherwise reads it
        authorization: str | None,
        tenant: str | None,
    ) -> Caller:
        """Return who makes this request. Raises what `caller` raises."""
        return await self.caller(authorization, tenant)

    async def caller(self, authorization: str | None, tenant: str | None) -> Caller:
        """Return the caller, or raise Unauthenticated, MalformedTenant or OtherTenant."""
        if tenant is not None and not _TENANT.fullmatch(tenant):
            raise MalformedTenant
        if self.keys is None:
            return Caller(tenant or DEFAULT_TENANT, "anonymous", ROLES, None)
        caller = _caller_of(await self._claims(self.keys, _bearer(authorization)))
        if tenant is not None and tenant != caller.tenant_id:
            raise OtherTenant
        return caller

    async def _claims(self, keys: Keys, token: str) -> dict[str, Any]:
        try:
            header = jwt.get_unverified_header(token)
            algorithm, kid = header.get("alg"), header.get("kid")
            if algorithm not in ALGORITHMS or not isinstance(kid, str):
                raise Unauthenticated("The token is not signed in a way that is accepted.")
            key = await keys.key(kid)
            if key is None or key.algorithm_name != algorithm:
                raise Unauthenticated("The token is signed with an unknown key.")
            claims: dict[str, Any] = jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=self._issuer,
                audience=self._audience,
                leeway=LEEWAY_SECONDS,
                options={"require": ["iss", "aud", "exp", "sub"]},
            )
        except jwt.ExpiredSignatureError:
            raise Unauthenticated("The token has expired.") from None
        except jwt.PyJWTError:
            raise Unauthenticated("The token is not valid.") from None
        except KeysUnavailable as error:
            raise TokensUnchecked from error
        return claims


def _bearer(authorization: str | None) -> str:
    if authorization is None:
        raise Unauthenticated("A bearer token is required.", challenge="Bearer")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token or len(token) > MAX_TOKEN:
        raise Unauthenticated("The Authorization header holds no bearer token.")
    return token.strip()


def _caller_of(claims: dict[str, Any]) -> Caller:
    tenant, roles, customer_id = (
        claims.get("tenant"),
        claims.get("roles"),
        claims.get("customer_id"),
    )
    try:
        if not isinstance(tenant, str) or not _TENANT.fullmatch(tenant):
            raise ValueError("tenant")
        if not isinstance(roles, list) or not all(isinstance(role, str) for role in roles):
            raise ValueError("roles")
        customer = UUID(customer_id) if customer_id is not None else None
    except (ValueError, AttributeError, TypeError):
        raise Unauthenticated("The claims of the token are incomplete.") from None
    return Caller(tenant, claims["sub"], ROLES.intersection(roles), customer, claims["exp"])


@refuses(400, 401, 403, schemes=(CALLERS,))
async def _caller(
    request: Request,
    authorization: Annotated[str | None, Header(include_in_schema=False)] = None,
    x_tenant_id: TenantHeader = None,
) -> Caller:
    authenticator: Authenticator = request.app.state.authenticator
    return await authenticator.caller_of(request, authorization, x_tenant_id)


@refuses(400, without="x-tenant-id")
async def _tenant_caller(
    caller: Annotated[Caller, Depends(_caller)],
    x_tenant_id: TenantHeader = None,
) -> Caller:
    if x_tenant_id is None:
        raise HeaderRequired("X-Tenant-Id")
    return caller


CallerDep = Annotated[Caller, Depends(_caller)]


def caller_with(*roles: str) -> Any:
    """Return a dependency: the caller, who has one of these roles. The role is checked before the
    body is read, so that the body of anybody else is not read. Raises RoleNeeded for others.
    """

    async def allowed(caller: CallerDep) -> Caller:
        caller.require(*roles)
        return caller

    return Depends(allowed)


TenantCallerDep = Annotated[Caller, Depends(_tenant_caller)]
