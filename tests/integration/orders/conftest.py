"""The orders service uses a database that is migrated once and emptied for each test."""

from collections.abc import AsyncIterator, Iterator

import pytest

from services.orders.infrastructure.settings import OrdersSettings
from services.orders.main import build
from tests.fixtures.databases import emptied, migrated_database_of
from tests.fixtures.servers import PostgresServer
from tests.fixtures.services import ServiceClient, serving


@pytest.fixture(scope="session")
def migrated_database(postgres_server: PostgresServer) -> Iterator[str]:
    """Yield a database with this service's newest schema. All tests of a worker share it."""
    with migrated_database_of("orders", postgres_server) as url:
        yield url


@pytest.fixture
async def orders_database(migrated_database: str) -> str:
    """Return the migrated database, empty."""
    await emptied(
        migrated_database, "orders", "idempotency_keys", "outbox", "outbox_archive", "inbox"
    )
    return migrated_database


@pytest.fixture
async def orders(orders_database: str) -> AsyncIterator[ServiceClient]:
    settings = OrdersSettings(
        _env_file=None, database_url=orders_database, role="api", max_open_purchases=3
    )
    async with serving(build(settings)) as client:
        yield client
