"""A release replaces the previous one process by process, and is rolled back, while purchases run:
both releases run at once on one schema and one broker.
"""

import asyncio
import os
import subprocess
import sys
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import asyncpg
import httpx
import pytest

from deploy.installation import ROOT
from deploy.prepare import pending_of, prepare_broker, prepare_databases
from deploy.services import SERVICES, service_named
from tests.e2e.replicas.load import flow, purchases, refusals
from tests.e2e.replicas.system import Replica, Replicated
from tests.e2e.system import running_system
from tests.fixtures.nginx import nginx_program

BEFORE = "221671da932896db7e81e8c139167cb1355b97f0"
"""The release before. Twelve migrations of five services came after it."""


def has_history() -> bool:
    command = ["git", "-C", str(ROOT), "cat-file", "-e", f"{BEFORE}^{{commit}}"]
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0
    except FileNotFoundError:
        return False


pytestmark = [
    pytest.mark.long,
    pytest.mark.slow,
    pytest.mark.timeout(600),
    pytest.mark.skipif(not has_history(), reason="the history of the code is not here"),
]


class Upgraded(Replicated):
    """The system starts with the old release: two processes of each service, with all roles."""

    of_each = 2

    def roles(self, service: str) -> tuple[str, ...]:
        return ("all",)

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        self.before = folder / "before"

    def code_of(self, service: str) -> Path:
        """Return the release before, or today's code for a service that came after it."""
        known = (self.before / "services" / service).is_dir()
        return self.before if known else ROOT

    def prepare(self) -> None:
        """Prepare the servers with the code of the previous release."""
        command = ["git", "-C", str(ROOT), "archive", BEFORE, "libs", "services"]
        archive = subprocess.run(command, capture_output=True, check=True).stdout
        self.before.mkdir()
        subprocess.run(["tar", "-x"], cwd=self.before, input=archive, check=True)
        asyncio.run(self.installation.provision_postgres())
        for spec in SERVICES:
            self._run("libs.runtime.migrations", spec.name, "upgrade", "head")
        prepare_broker(self.installation)

    def deploy(self) -> None:
        """Migrate and provision, as `./taskw up` and `docker compose up` do before new code."""
        behind = [each for each in SERVICES if pending_of(self.installation, each.name).revisions]
        assert len(behind) == 5, behind
        prepare_databases(self.installation)
        prepare_broker(self.installation)

    def replace(self, service: str, root: Path) -> None:
        """Replace one process after the other by one that runs the code at `root`."""
        for _ in range(self.of_each):
            old = self.oldest(service)
            self.add(self.one_of_each(service), root)
            self.take_away(old)

    def settings_of(self, replica: Replica) -> dict[str, str]:
        """Return the settings. The release before reads no secrets in files."""
        more = super().settings_of(replica)
        if replica.root == ROOT:
            return more
        spec = service_named(replica.service)
        return {**self.installation.settings(spec, "127.0.0.1", replica.port), **more}

    def _run(self, module: str, service: str, *arguments: str) -> None:
        environment = {**os.environ, **self.installation.migration(service)}
        command = [sys.executable, "-m", module, service, *arguments]
        subprocess.run(command, cwd=self.code_of(service), env=environment, check=True)


@pytest.fixture(scope="module")
def upgraded() -> Iterator[Upgraded]:
    nginx_program()  # this skips before anything has started
    with running_system(Upgraded) as started:
        yield started


async def test_a_release_replaces_the_one_before_and_is_rolled_back_while_purchases_run(
    upgraded: Upgraded,
) -> None:
    before = len(refusals(upgraded))
    async with purchases(upgraded, seed=3, at_once=1) as buyers:
        await flow(buyers, 3)
        await upgraded.aside(upgraded.deploy)
        for code_of in (super(Upgraded, upgraded).code_of, upgraded.code_of):
            for spec in SERVICES:
                await upgraded.aside(partial(upgraded.replace, spec.name, code_of(spec.name)))
                await flow(buyers, 1)
            assert [each for each in upgraded.replicas if each.root != code_of(each.service)] == []
    assert refusals(upgraded)[before:] == []
    assert buyers.in_vain.total() == 0


async def test_a_release_that_renames_a_column_under_running_code_is_found_out(
    upgraded: Upgraded,
) -> None:
    before = len(refusals(upgraded))
    market = upgraded.market(timeout=1)
    try:
        await _execute(upgraded, "ALTER TABLE vehicles RENAME colour TO hue")
        with pytest.raises(httpx.HTTPStatusError):
            await market.list_vehicle(price_cents=1)
    finally:
        await _execute(upgraded, "ALTER TABLE vehicles RENAME hue TO colour")
        await market.close()
    assert {each.partition(" to ")[2] for each in refusals(upgraded)[before:]} == {"POST /vehicles"}


async def _execute(system: Upgraded, statement: str) -> None:
    database = await asyncpg.connect(system.databases["vehicles"])
    await database.execute(statement)
    await database.close()
