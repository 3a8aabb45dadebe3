"""The orders service on a database of the test's own."""

from collections.abc import AsyncIterator

import pytest

from services.orders.infrastructure.settings import OrdersSettings
from services.orders.main import build
from tests.fixtures.services import ServiceClient, running


@pytest.fixture
async def orders(database: str) -> AsyncIterator[ServiceClient]:
    async with running(build, OrdersSettings, database, max_open_purchases=3) as client:
        yield client
