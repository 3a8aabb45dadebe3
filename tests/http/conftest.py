from collections.abc import AsyncIterator, Iterator

import pytest
import pytest_asyncio

from tests.fixtures.whole_market import Databases, WholeMarket, open_market
from tests.http.serving import Serving, serving_market


@pytest.fixture(scope="module")
def served(databases: Databases, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Serving]:
    """Start all services behind real sockets."""
    with serving_market(databases, tmp_path_factory.mktemp("served")) as opened:
        yield opened


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def market(
    databases: Databases, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[WholeMarket]:
    """Start all services without sockets."""
    async with open_market(databases, tmp_path_factory.mktemp("market")) as opened:
        yield opened
