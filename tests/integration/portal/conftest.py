"""The portal uses a database that is migrated once and emptied for each test."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from functools import cache, partial
from typing import Any

import asyncpg
import httpx
import jwt
import pytest
from argon2 import PasswordHasher

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from libs.runtime.service import Service
from services.portal.application.create_user import create_user
from services.portal.domain.user import User
from services.portal.infrastructure.identity import passwords
from services.portal.infrastructure.peers.client import Peers
from services.portal.infrastructure.settings import PortalSettings
from services.portal.infrastructure.store.postgres import PostgresPortalUnitOfWork, Store
from services.portal.main import build, connect
from tests.fixtures.databases import emptied, migrated_database_of
from tests.fixtures.servers import PostgresServer
from tests.fixtures.services import ServiceClient, serving
from tests.integration.portal.pages import ADDRESSES, OWN_PORT, Behind

MASTER_KEY = "k1:" + "A" * 43 + "="
INDEX_KEY = "B" * 42 + "A="
PASSWORD = "correct horse battery"
EMPTIED = (
    *("users", "sessions", "erased_customers", "sign_in_attempts", "sign_in_places"),
    *("password_resets", "signing_keys", "audits", "audit_heads", "audit_anchors", "submissions"),
    *("submission_errors", "subjects", "timeline", "check_requests"),
    *("idempotency_keys", "outbox", "inbox"),
)

CheapHasher = partial(PasswordHasher, time_cost=1, memory_cost=64, parallelism=1)
Built = Callable[..., Service[PostgresPortalUnitOfWork]]
Serve = Callable[..., AbstractAsyncContextManager[ServiceClient]]
AddUser = Callable[..., Awaitable[User]]
Enter = Callable[..., Awaitable[User]]


async def execute(url: str, statement: str, *arguments: Any) -> Any:
    connection = await asyncpg.connect(url.replace("+asyncpg", ""))
    try:
        return await connection.fetch(statement, *arguments)
    finally:
        await connection.close()


@pytest.fixture(scope="session")
def migrated_database(postgres_server: PostgresServer) -> Iterator[str]:
    """Yield a database with this service's newest schema. All tests of a worker share it."""
    with migrated_database_of("portal", postgres_server) as url:
        yield url


@pytest.fixture
async def portal_database(migrated_database: str) -> str:
    """Return the migrated database, empty."""
    await emptied(migrated_database, *EMPTIED)
    return migrated_database


def settings_of(database_url: str, **changed: Any) -> PortalSettings:
    chosen: dict[str, Any] = {
        "_env_file": None,
        "database_url": database_url,
        "role": "api",
        "data_keys": MASTER_KEY,
        "index_key": INDEX_KEY,
        **{f"{name}_url": address for name, address in ADDRESSES.items()},
        "port": OWN_PORT,
        **changed,
    }
    return PortalSettings(**chosen)


@pytest.fixture
def settings(portal_database: str) -> Callable[..., PortalSettings]:
    return partial(settings_of, database_url=portal_database)


@pytest.fixture
def serve(settings: Callable[..., PortalSettings]) -> Serve:
    """Return a function that serves another portal with further settings."""

    def start(**changed: Any) -> AbstractAsyncContextManager[ServiceClient]:
        return serving(build(settings(**changed)))

    return start


@pytest.fixture(scope="session")
def answering() -> Behind:
    return Behind()


@pytest.fixture
def behind(answering: Behind) -> Behind:
    """Return the services behind the portal, none of which answers yet."""
    answering.answers.clear()
    answering.calls.clear()
    return answering


@pytest.fixture(scope="session")
def built(migrated_database: str, answering: Behind) -> Built:
    """Return a function that builds a portal once for all tests of a worker, because the routes of
    all pages take a tenth of a second. Each test starts it with its own application, connections
    and keys. Nothing closes its HTTP clients: `answering` replaces the network, and the other one
    reaches nobody.
    """

    @cache
    def once(**changed: Any) -> Service[PostgresPortalUnitOfWork]:
        with pytest.MonkeyPatch.context() as patch:
            transport = httpx.MockTransport(answering)
            patch.setattr("services.portal.main.Peers", partial(Peers, transport=transport))
            patch.setattr(passwords, "PasswordHasher", CheapHasher)
            return replace(build(settings_of(migrated_database, **changed)), closing=())

    return once


@pytest.fixture
async def portal(
    built: Built, portal_database: str, behind: Behind
) -> AsyncIterator[ServiceClient]:
    """Yield the portal with `behind` in place of the network. Check afterwards that every call of a
    service had exactly the roles of the user for whom it was made.
    """
    async with serving(built()) as client:
        yield client
    rows = await execute(portal_database, "SELECT id, roles FROM users")
    own = {str(row["id"]): set(row["roles"]) for row in rows}
    for call, request in behind.calls:
        token = request.headers["Authorization"].removeprefix("Bearer ")
        claims = jwt.decode(token, options={"verify_signature": False})
        assert set(claims["roles"]) == own.get(claims["sub"], set()), call


@cache
def connected(url: str) -> Store:
    return connect(settings_of(url))


@pytest.fixture
async def transactions(portal_database: str) -> AsyncIterator[Store]:
    """Yield transactions without the portal. Each test has its own connections."""
    opened = connected(portal_database)
    yield opened
    await opened.engine.dispose()


@pytest.fixture(scope="session")
def password_hash() -> str:
    """Return a hash that is cheap to verify, because tests sign in hundreds of times."""
    return CheapHasher().hash(PASSWORD)


@pytest.fixture
def add_user(transactions: Store, password_hash: str) -> AddUser:
    """Return a function that adds a user with PASSWORD, by default with the role's e-mail."""

    async def add(
        *roles: str, email: str | None = None, tenant: str = "default", **more: Any
    ) -> User:
        return await transactions.run(
            lambda uow: create_user(
                uow,
                tenant_id=tenant,
                name=f"{roles[0].title()} Silva",
                email=email or f"{roles[0]}@example.com",
                password_hash=password_hash,
                roles=roles,
                locale="en",
                actor="test",
                new_id=uuid7,
                now=utc_now(),
                **more,
            )
        )

    return add


@pytest.fixture
def enter(portal: ServiceClient, add_user: AddUser) -> Enter:
    """Return a function like `add_user` that also gives the portal the user's cookies."""

    async def add_and_sign_in(*roles: str, **more: Any) -> User:
        user = await add_user(*roles, **more)
        await signed_in(portal, user.email)
        return user

    return add_and_sign_in


@pytest.fixture
async def seller(enter: Enter) -> User:
    return await enter("seller")


async def signed_in(client: ServiceClient, email: str, password: str = PASSWORD) -> None:
    """Sign in, so that the client has this user's cookies and headers."""
    answer = await client.post("/api/sessions", json={"email": email, "password": password})
    assert answer.status_code == 201, answer.text
    client.headers["X-CSRF-Token"] = answer.json()["csrf_token"]
