from collections.abc import AsyncIterator, Iterator

import pytest

from deploy.local.market import Market
from tests.e2e.system import System, running_system


@pytest.fixture(scope="session")
def system() -> Iterator[System]:
    """One system for all tests here; they run in one worker, and leave it running and quiet."""
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("CODE_LIFETIME_SECONDS", "6")
        environment.setenv("GATEWAY_LEASE_SECONDS", "6.5")
        environment.setenv("MAX_OPEN_PURCHASES", "1000")
        with running_system() as started:
            yield started


@pytest.fixture
async def market(system: System) -> AsyncIterator[Market]:
    here = system.market()
    yield here
    await here.close()
