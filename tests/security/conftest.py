from collections.abc import AsyncIterator

import pytest
import pytest_asyncio

from tests.fixtures.whole_market import Databases, WholeMarket, open_market


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def market(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[WholeMarket]:
    """Yield all services without a broker. Each test has its own tenants in them."""
    async with open_market(databases, tmp_path_factory.mktemp("market")) as opened:
        yield opened
