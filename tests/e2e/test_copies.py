"""Each service runs from a copy of the tree without the folders of the other services."""

import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from deploy.demo.scenarios import bought_and_picked_up, cancelled_after_paying
from deploy.installation import ROOT
from deploy.local.private import start_service
from deploy.services import SERVICES, ServiceSpec
from tests.e2e.quiet import invariants_hold
from tests.e2e.system import SETTINGS, System, running_system

pytestmark = [pytest.mark.long, pytest.mark.timeout(300)]

SHARED = (
    "services/__init__.py",
    "services/events.py",
    "services/settings.py",
    "services/tables.py",
    "services/choreography.json",
)


class Copies(System):
    """The services of `Copies` run from copies of the tree, one for each."""

    def copy_of(self, service: str) -> Path:
        return self.children.folder / "copies" / service

    def _start(self, spec: ServiceSpec) -> None:
        root = self.copy_of(spec.name)
        if not root.exists():
            ignore = shutil.ignore_patterns("__pycache__")
            for folder in ("libs", f"services/{spec.name}"):
                shutil.copytree(ROOT / folder, root / folder, ignore=ignore)
            for name in SHARED:
                shutil.copy(ROOT / name, root / name)
        start_service(self.children, self.state, self.installation, spec, SETTINGS, root=root)


@pytest.fixture(scope="module")
def copies() -> Iterator[Copies]:
    with running_system(Copies) as started:
        yield started


async def test_purchases_run_through_seven_services_that_have_no_code_of_each_other(
    copies: Copies,
) -> None:
    for spec in SERVICES:
        found = (copies.copy_of(spec.name) / "services").iterdir()
        assert [each.name for each in found if each.is_dir() and each.name != "__pycache__"] == [
            spec.name
        ]
    market = copies.market()
    try:
        await bought_and_picked_up(market)
        await cancelled_after_paying(market)
        answer = await market.send("payments", "GET", "/asyncapi", expect=200)
        assert answer.json()["info"]["title"] == "payments"
    finally:
        await market.close()
    await invariants_hold(copies)
