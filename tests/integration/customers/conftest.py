"""The customers service uses a database that is migrated once and emptied for each test."""

from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

import pytest

from services.customers.infrastructure.settings import CustomersSettings
from services.customers.main import build
from services.tokens import Issuer
from tests.fixtures.databases import emptied, migrated_database_of
from tests.fixtures.servers import PostgresServer
from tests.fixtures.services import ServiceClient, serving

MASTER_KEY = "k1:" + "A" * 43 + "="
INDEX_KEY = "B" * 42 + "A="
STARTING_LIMIT = 70_000


@pytest.fixture(scope="session")
def migrated_database(postgres_server: PostgresServer) -> Iterator[str]:
    """Yield a database with this service's newest schema. All tests of a worker share it."""
    with migrated_database_of("customers", postgres_server) as url:
        yield url


@pytest.fixture
async def customers_database(migrated_database: str) -> str:
    """Return the migrated database, empty."""
    await emptied(
        migrated_database,
        *("customers", "credit_reservations", "idempotency_keys", "outbox", "inbox"),
    )
    return migrated_database


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "ledger" / "erasures.jsonl"


Serve = Callable[..., AbstractAsyncContextManager[ServiceClient]]


@pytest.fixture
def serve(customers_database: str, ledger: Path) -> Serve:
    """Return a function that serves the API with further settings."""

    def start(**settings: Any) -> AbstractAsyncContextManager[ServiceClient]:
        chosen: dict[str, Any] = {
            "_env_file": None,
            "database_url": customers_database,
            "role": "api",
            "data_keys": MASTER_KEY,
            "index_key": INDEX_KEY,
            "erasure_ledger": ledger,
            "starting_limit_cents": STARTING_LIMIT,
            **settings,
        }
        return serving(build(CustomersSettings(**chosen)))

    return start


@pytest.fixture
async def customers(serve: Serve) -> AsyncIterator[ServiceClient]:
    """Yield the API with AUTH=off, where every caller has every role."""
    async with serve() as client:
        yield client


@pytest.fixture
async def guarded(serve: Serve, issuer: Issuer) -> AsyncIterator[ServiceClient]:
    """Yield the API with AUTH=on, which accepts the issuer's tokens."""
    async with serve(auth="on", jwks_url=str(issuer.jwks)) as client:
        yield client
