"""No purchase is lost, doubled or left hanging, whatever happens in whatever order."""

import pytest

from tests.simulation.running import simulate

STEPS = 20_000
PARTS = 4
"""Processes of a parallel run share the work."""


def seed_of(config: pytest.Config) -> int:
    """`--hypothesis-seed`, or the seed of the whole test run, which pytest prints at its head."""
    given = config.getoption("--hypothesis-seed")
    return int(given or config.getoption("randomly_seed", 0))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize("part", range(PARTS))
def test_the_invariants_hold_whatever_happens(pytestconfig: pytest.Config, part: int) -> None:
    seed, steps = seed_of(pytestconfig) + 1_000 * part, STEPS // PARTS
    print(f"again: ./taskw soak --seed {seed} --steps {steps}")
    assert simulate(seed, steps).steps >= steps


def test_a_seed_gives_the_same_events_again(pytestconfig: pytest.Config) -> None:
    seed = seed_of(pytestconfig)
    first, again, other = (simulate(each, steps=500) for each in (seed, seed, seed + 1))
    assert (first.steps, first.digest.digest()) == (again.steps, again.digest.digest())
    assert first.digest.digest() != other.digest.digest()
