"""`./taskw verify` checks the running system rule by rule."""

from io import StringIO

from rich.console import Console

from deploy.checker.invariants import ARRIVED, NOTHING_WAITS
from deploy.checker.verify import verify
from tests.e2e.quiet import invariants_hold
from tests.e2e.system import System


async def test_it_says_rule_by_rule_that_all_holds(system: System) -> None:
    await invariants_hold(system)
    console = Console(file=StringIO(), soft_wrap=True)

    assert await verify(system.installation, console, grace_seconds=0)

    assert isinstance(console.file, StringIO)
    said = console.file.getvalue()
    assert "✘" not in said
    for rule in (ARRIVED, NOTHING_WAITS, "no purchase rests half-way"):
        assert f"✔ {rule}" in said
