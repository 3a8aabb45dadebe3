"""Runs the second simulation with a fault injected."""

from tests.simulation.interleavings.story import Taken, runs
from tests.simulation.mutations.registry import Mutation
from tests.simulation.proof import Proof
from tests.simulation.rules import InvariantBroken


def prove(mutation: Mutation, seed: int, most: int) -> Proof:
    """Simulate under the mutation until a rule breaks, or for `most` steps and the rest of the last
    run.
    """
    taken = Taken()
    with mutation():
        try:
            for _ in runs(seed, most, taken):
                pass
        except InvariantBroken as broken:
            return Proof("found", taken.steps, broken.rule)
        except Exception as error:
            return Proof("harness failed", taken.steps, f"{type(error).__name__}: {error}")
    return Proof("not found", taken.steps)
