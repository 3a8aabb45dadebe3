"""The simulation finds what is broken on purpose. `./taskw mutants` shows it of every mutation."""

from contextlib import nullcontext

import pytest

from tests.simulation.mutations import MUTATIONS
from tests.simulation.proof import prove

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
def test_what_is_broken_is_found(sentence: str) -> None:
    proof = prove(MUTATIONS[sentence], SEED, ENOUGH)
    assert proof.verdict == "found", proof
    assert prove(nullcontext, SEED, proof.steps).verdict == "not found"


def test_a_harness_that_fails_proves_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.simulation.machine.hold_always", None)
    proof = prove(nullcontext, SEED, 10)
    assert proof.verdict == "harness failed"
    assert proof.what.startswith("TypeError")
