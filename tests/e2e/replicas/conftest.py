import asyncio
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime

import asyncpg
import pytest

from deploy.commands import command
from deploy.demo.market import Market
from deploy.demo.people import ADMIN
from tests.e2e.replicas.system import Replicated
from tests.e2e.system import running_system
from tests.fixtures.nginx import nginx_program

PARTITIONS = """
SELECT inhrelid::regclass::text FROM pg_inherits JOIN pg_class ON pg_class.oid = inhrelid
WHERE relkind = 'r' AND relname ~ '_[0-9]{6,8}$'
"""


class Three(Replicated):
    """The `partitions_ahead` are dropped before the processes start, which make them again."""

    def prepare(self) -> None:
        super().prepare()
        self.partitions_ahead = {
            name: asyncio.run(without_partitions_ahead(url)) for name, url in self.databases.items()
        }


async def without_partitions_ahead(url: str) -> set[str]:
    """Drop the partitions of tomorrow and later, and of the next month and later. Returns their
    names.
    """
    today = f"{datetime.now(UTC):%Y%m%d}"
    database = await asyncpg.connect(url)
    try:
        names = {row[0] for row in await database.fetch(PARTITIONS)}
        ahead = {name for name in names if (day := name.rpartition("_")[2]) > today[: len(day)]}
        for name in ahead:
            await database.execute(f"DROP TABLE {name}")
    finally:
        await database.close()
    return ahead


@pytest.fixture(scope="package")
def three() -> Iterator[Three]:
    """Yield three of each role of each service. Tests that replace replicas leave three of each."""
    nginx_program()  # this skips before anything has started
    with running_system(Three) as started:
        password = {"PASSWORD": started.installation.sign_in_password(ADMIN.role)}
        words = ("add-user", ADMIN.email, "--role", ADMIN.role, "--name", ADMIN.name)
        asyncio.run(command(started.installation, "portal", *words, environment=password))
        yield started


@pytest.fixture
async def market(three: Replicated) -> AsyncIterator[Market]:
    here = three.market()
    yield here
    await here.close()
