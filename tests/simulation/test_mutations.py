"""The simulation finds rules that are broken on purpose. `./taskw mutants` shows it for every
mutation.
"""

from contextlib import nullcontext
from typing import Any

import pytest
from hypothesis.control import current_build_context

from tests.simulation.machine import Simulation, Story
from tests.simulation.mutations import MUTATIONS
from tests.simulation.proof import prove
from tests.simulation.rules import InvariantBroken
from tests.simulation.running import every_stage, simulate

SEED = 1
ENOUGH = 5_000


@pytest.mark.parametrize(
    "sentence",
    [
        "there is no inbox",
        "the outbox is written outside the transaction",
        "credit is given back twice",
        "a cancellation after the payment is not refunded",
    ],
)
def test_each_broken_rule_is_found(sentence: str) -> None:
    proof = prove(MUTATIONS[sentence], SEED, ENOUGH)
    assert proof.verdict == "found", proof
    assert prove(nullcontext, SEED, proof.steps).verdict == "not found"


@pytest.mark.parametrize(
    "sentence",
    [
        "a late no to one card is taken for the answer to the next",
        "a completion after the release consumes the credit",
        "a payment after its refund sells the released vehicle",
        "a sale after the release of the credit completes the purchase",
        "a sale after its reversal counts in the figures",
        "the state in a timeline follows the event consumed last",
    ],
)
def test_the_stages_alone_find_what_a_late_step_breaks(sentence: str) -> None:
    with MUTATIONS[sentence](), pytest.raises(InvariantBroken):
        every_stage(Story(), explain=False)


def test_an_error_of_the_harness_is_no_proof(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.simulation.machine.hold_always", None)
    proof = prove(nullcontext, SEED, 10)
    assert proof.verdict == "harness failed"
    assert proof.what.startswith("TypeError")


def test_a_rule_that_breaks_in_a_run_that_hypothesis_cuts_short_is_found(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Only the first run is broken and cut short; the runs after it hold."""
    first, broken = iter([True]), iter([InvariantBroken("a rule", ["it is broken"])])

    def cut_short(_: Simulation) -> None:
        if next(first, False):
            current_build_context().data.mark_overrun()

    def hold(*_: Any) -> None:
        for error in broken:
            raise error

    monkeypatch.setattr(Simulation, "_come_and_go", cut_short)
    monkeypatch.setattr("tests.simulation.machine.hold_at_rest", hold)
    proof = prove(nullcontext, SEED, 100)
    assert (proof.verdict, proof.what) == ("found", "a rule")


def test_a_broken_rule_is_shown_with_the_fewest_steps() -> None:
    with (
        MUTATIONS["a cancellation after the payment is not refunded"](),
        pytest.raises(InvariantBroken) as broken,
    ):
        simulate(SEED, ENOUGH)
    *steps, how = broken.value.__notes__
    assert steps[0].startswith("open_the_market(")
    assert len(steps) < 10
    assert how.startswith("again: ./taskw soak --seed ")
