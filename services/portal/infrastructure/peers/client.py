"""The other services are called in the name of the signed-in user."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from ssl import SSLContext
from typing import Any
from uuid import UUID

import httpx
import structlog
from opentelemetry.propagate import inject

from libs.messaging.broker_url import parse_management_url
from libs.runtime.auth import DEFAULT_TENANT
from libs.runtime.start_failure import StartFailure
from services.portal.domain.user import User
from services.portal.infrastructure.language.sentences import Said
from services.settings import MarketSettings

log = structlog.get_logger(__name__)

CONNECT_SECONDS, ANSWER_SECONDS = 2.0, 8.0
IN_FLIGHT = "idempotency-key-in-flight"
IN_FLIGHT_WAITS = (0.05, 0.1, 0.2, 0.4, 0.8, 1.6)
"""These waits are in seconds. While an equal request is being handled, the call waits for its
answer, which then serves both.
"""
PROBLEM = MarketSettings.problem_prefix

TokenFor = Callable[[User], Awaitable[str]]

VISITOR = User(
    id=UUID(int=0),
    tenant_id=DEFAULT_TENANT,
    name="",
    email="",
    roles=frozenset(),
    customer_id=None,
    locale="en",
    password_hash="",  # nosec B106  # no hash matches it
    created_at=datetime.min.replace(tzinfo=UTC),
)
"""The services see a visitor who is not signed in as this caller. It has no role, because a token
is enough to see what is for sale.
"""


class PeerUnavailable(Exception):
    """A service does not answer, or its answer makes no sense. A later attempt may succeed."""

    def __init__(self, service: str) -> None:
        super().__init__(service)
        self.service = service


class PeerRefusal(Exception):
    """A service refused. `fields` says what is wrong with each input; the empty name stands for the
    whole. `code` is the last part of the problem's type.
    """

    def __init__(self, status: int, code: str, fields: Mapping[str, Said]) -> None:
        super().__init__(f"{status} {code}")
        self.status = status
        self.code = code
        self.fields = dict(fields)


@dataclass(frozen=True)
class Reply:
    """A reply is a 2xx answer. `version` comes from its ETag and is sent as `If-Match`. `replayed`
    says that it answered an earlier request with the same key.
    """

    body: Any
    version: str = field(default="")
    replayed: bool = False


@cache
def trusted() -> SSLContext:
    """Return the trusted certificates. They are read once, because reading takes longer than many
    requests.
    """
    return httpx.create_ssl_context()


def trusted_with(management_url: str) -> SSLContext:
    """Return `trusted` with the authorities in the `cafile` of this URL. Raises StartFailure."""
    cafile = parse_management_url(management_url).cafile if management_url else None
    if cafile is None:
        return trusted()
    context = httpx.create_ssl_context()
    try:
        context.load_verify_locations(cafile)
    except OSError as error:
        reason = error.strerror or error
        raise StartFailure(f"RABBITMQ_MANAGEMENT_URL: cafile names {cafile}: {reason}") from None
    return context


class Peers:
    """`addresses` are those of the services by name. `transport` replaces the network in tests."""

    def __init__(
        self,
        addresses: Mapping[str, str],
        token_for: TokenFor,
        *,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._addresses = dict(addresses)
        self._token_for = token_for
        self._client = httpx.AsyncClient(
            transport=transport,
            verify=trusted(),
            trust_env=False,  # a proxy in the machine's environment does not lead to the services
            timeout=httpx.Timeout(ANSWER_SECONDS, connect=CONNECT_SECONDS),
        )

    async def close(self) -> None:
        await self._client.aclose()

    async def get(self, user: User | None, service: str, path: str, **params: Any) -> Reply:
        """Return the reply, leaving out parameters that are None. Raises PeerUnavailable,
        PeerRefusal.
        """
        given = {name: value for name, value in params.items() if value is not None}
        return await self._call(user, service, "GET", path, params=given)

    async def try_get(
        self, user: User | None, service: str, path: str, **params: Any
    ) -> Reply | None:
        """Return data that a page can do without, or None where it is not available."""
        try:
            return await self.get(user, service, path, **params)
        except (PeerUnavailable, PeerRefusal):
            return None

    async def send(
        self,
        user: User | None,
        service: str,
        method: str,
        path: str,
        body: Any = None,
        *,
        key: str = "",
        version: str = "",
    ) -> Reply:
        """Send a request, which has no second effect with the same `key`. `version` is its base.

        Raises PeerUnavailable, PeerRefusal.
        """
        given = {"Idempotency-Key": key, "If-Match": version}
        headers = {name: value for name, value in given.items() if value}
        for wait in IN_FLIGHT_WAITS:
            try:
                return await self._call(user, service, method, path, json=body, headers=headers)
            except PeerRefusal as refusal:
                if refusal.code != IN_FLIGHT:
                    raise
            await asyncio.sleep(wait)
        raise PeerUnavailable(service)

    async def _call(
        self, user: User | None, service: str, method: str, path: str, **request: Any
    ) -> Reply:
        caller = user or VISITOR
        headers = {
            "X-Tenant-Id": caller.tenant_id,
            "Authorization": f"Bearer {await self._token_for(caller)}",
            **request.pop("headers", {}),
        }
        inject(headers)
        try:
            response = await self._client.request(
                method, self._addresses[service] + path, headers=headers, **request
            )
        except UnicodeEncodeError:  # a header from a form: it is no valid version or key
            raise PeerRefusal(400, "bad-request", {"": Said("", "bad-request")}) from None
        except (httpx.HTTPError, KeyError) as error:
            log.warning("peer unavailable", peer=service, error=type(error).__name__)
            raise PeerUnavailable(service) from error
        return _reply(service, response)


def _reply(service: str, response: httpx.Response) -> Reply:
    if response.status_code == 401 or response.status_code >= 500:
        # With 401 the service does not know the portal's keys yet, which no user could change.
        log.warning("peer unavailable", peer=service, status=response.status_code)
        raise PeerUnavailable(service)
    try:
        body = response.json() if response.content else None
    except ValueError:
        raise PeerUnavailable(service) from None
    if response.is_success:
        replayed = "Idempotency-Replayed" in response.headers
        return Reply(body, response.headers.get("ETag", ""), replayed)
    raise _refusal(response.status_code, body if isinstance(body, dict) else {})


def _refusal(status: int, problem: Mapping[str, Any]) -> PeerRefusal:
    code = str(problem.get("type", "")).removeprefix(PROBLEM)
    whole = {"code": code, "message": problem.get("detail"), **problem}
    fields = {
        str(each.get("field") or ""): _said(each) for each in problem.get("errors") or [whole]
    }
    return PeerRefusal(status, code, fields)


def _said(fault: Mapping[str, Any]) -> Said:
    """Return the text of a problem, or of one of its errors."""
    params = fault.get("params")
    known = params if isinstance(params, dict) else {}
    return Said(str(fault.get("message") or ""), str(fault.get("code") or ""), known)
