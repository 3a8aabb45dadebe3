"""Ids are printed in full at any width of the terminal, because people copy them."""

from io import StringIO
from uuid import uuid4

import pytest
from rich.console import Console

from deploy.checker.report import Invariant, Report
from deploy.checker.verify import show_report
from deploy.demo import demo
from deploy.demo.market import Market, NotReached
from deploy.demo.scenarios import Scenario

FIRST, SECOND, THIRD = (str(uuid4()) for _ in range(3))


@pytest.fixture
def narrow() -> Console:
    return Console(file=StringIO(), width=40, soft_wrap=True)


def printed(console: Console) -> str:
    assert isinstance(console.file, StringIO)
    return console.file.getvalue()


def test_the_report_of_verify(narrow: Console) -> None:
    broken = Invariant("a rule", [f"order {FIRST} is CANCELLED, its vehicle {SECOND} is SOLD"], 1)

    show_report(Report(1, 0, [broken], [f"dead letter {THIRD} of a queue: broken"]), narrow)

    assert f"      order {FIRST} is CANCELLED, its vehicle {SECOND} is SOLD\n" in printed(narrow)
    assert f"  ! dead letter {THIRD} of a queue: broken\n" in printed(narrow)


async def test_a_purchase_of_the_demo_that_ends_as_it_should_not(
    narrow: Console, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(_: Market) -> tuple[list[object], str]:
        raise NotReached(f"purchase {FIRST} is FAILED (credit_too_low), not AWAITING_PAYMENT")

    monkeypatch.setattr(demo, "SCENARIOS", [Scenario("bought", fail)])  # type: ignore[arg-type]

    [played] = await demo._play_all(Market({}), narrow)
    await demo._show(played, {}, (), narrow)

    said = printed(narrow)
    assert f"  purchase {FIRST} is FAILED (credit_too_low), not AWAITING_PAYMENT\n" in said
    assert "…" not in said
