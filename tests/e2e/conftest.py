from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.demo.market import Market
from tests.e2e.system import System, running_system


@pytest.fixture(scope="package")
def system() -> Iterator[System]:
    """Yield one system for all tests here, which run in one worker. Each test leaves the system
    running, with no work under way.
    """
    with running_system(System) as started:
        yield started


@pytest.fixture
async def market(system: System) -> AsyncIterator[Market]:
    here = system.market()
    yield here
    await here.close()
