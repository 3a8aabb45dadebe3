"""No purchase is lost, doubled or left hanging, whatever happens in whatever order."""

import subprocess
import sys
from pathlib import Path

import pytest

from tests.simulation.running import simulate

STEPS = 20_000
PARTS = 4
"""Processes of a parallel run share the work."""
ROOT = Path(__file__).parents[2]
IN_ANOTHER_PROCESS = """
import sys

from tests.simulation.running import simulate

print(simulate(int(sys.argv[1]), steps=2_000).digest.hexdigest())
"""


def seed_of(config: pytest.Config) -> int:
    """Return `--hypothesis-seed`, or the seed of the test run, which pytest prints at its head."""
    given = config.getoption("--hypothesis-seed")
    return int(given or config.getoption("randomly_seed", 0))


@pytest.mark.slow
@pytest.mark.timeout(900)
@pytest.mark.parametrize(
    "part", [0, *(pytest.param(part, marks=pytest.mark.long) for part in range(1, PARTS))]
)
def test_the_invariants_hold_whatever_happens(pytestconfig: pytest.Config, part: int) -> None:
    seed, steps = seed_of(pytestconfig) + 1_000 * part, STEPS // PARTS
    print(f"again: ./taskw soak --seed {seed} --steps {steps}")
    assert simulate(seed, steps).steps >= steps


def test_a_seed_gives_the_same_events_again(pytestconfig: pytest.Config) -> None:
    seed = seed_of(pytestconfig)
    first, again, other = (simulate(each, steps=500) for each in (seed, seed, seed + 1))
    assert (first.steps, first.digest.digest()) == (again.steps, again.digest.digest())
    assert first.digest.digest() != other.digest.digest()


@pytest.mark.long
def test_a_seed_gives_the_same_events_in_a_process_that_has_loaded_other_modules() -> None:
    """A fault that a test found must be found again by `soak`. A module of this repository holds
    numbers, and by itself Hypothesis draws numbers of loaded modules more often.
    """
    loaded = "import tests.http.test_hostile_input\n" + IN_ANOTHER_PROCESS
    digests = {
        subprocess.run(
            [sys.executable, "-c", program, "7"],
            cwd=ROOT, capture_output=True, text=True, check=True,
        ).stdout
        for program in (IN_ANOTHER_PROCESS, loaded)
    }  # fmt: skip
    assert len(digests) == 1
