from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.demo.market import Market
from tests.e2e.system import System, running_system


@pytest.fixture(scope="package")
def system() -> Iterator[System]:
    """One system for all tests here; they run in one worker, and leave it running and quiet."""
    with running_system(System) as started:
        yield started


@pytest.fixture
async def market(system: System) -> AsyncIterator[Market]:
    here = system.market()
    yield here
    await here.close()
