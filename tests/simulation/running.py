"""Runs the simulation from a seed. The same seed and number of steps is the same story, exactly."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil

import hypothesis
import structlog
from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.simulation.machine import Simulation, Story
from tests.simulation.rules import InvariantBroken
from tests.simulation.shortest import again, shortest

STEPS_IN_A_RUN = 100
RUNS_IN_A_CHUNK = 20
"""Hypothesis remembers each run of a chunk: small ones keep it fast."""


def fresh_seed() -> int:
    return secrets.randbelow(10**6)


def chunks(seed: int, steps: int, story: Story, *, explain: bool = True) -> Iterator[int]:
    """Runs until so many steps were taken; answers how many there were after each chunk, the first
    of which begins with `seed` and the next with the number after it.

    Raises InvariantBroken; with `explain` the shortest steps that lead there stand in its notes.
    """
    while story.steps < steps:
        missing = steps - story.steps
        runs = min(RUNS_IN_A_CHUNK, ceil(missing / STEPS_IN_A_RUN))
        try:
            _run(seed, story, runs)
        except InvariantBroken as broken:
            if not explain:
                raise
            how = f"again: ./taskw soak --seed {seed} --steps {runs * STEPS_IN_A_RUN}"
            raise _explained(broken, story, how) from None
        yield story.steps
        seed += 1


def simulate(seed: int, steps: int) -> Story:
    """All of it. Raises InvariantBroken."""
    story = Story()
    for _ in chunks(seed, steps, story):
        pass
    return story


def _run(seed: int, story: Story, runs: int) -> None:
    machine = type("Simulation", (Simulation,), {"story": story})
    hypothesis.seed(seed)(machine)
    how = settings(
        max_examples=runs,
        stateful_step_count=STEPS_IN_A_RUN,
        deadline=None,
        database=None,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
        phases=[Phase.generate],
        verbosity=Verbosity.quiet,
    )
    with _without_logs():
        run_state_machine_as_test(machine, settings=how)


def _explained(broken: InvariantBroken, story: Story, how: str) -> InvariantBroken:
    with _without_logs():
        steps = shortest(story.broken_by, broken.rule)
        found = again(steps) or broken
    for each in (*steps, how):
        found.add_note(str(each))
    return found


@contextmanager
def _without_logs() -> Iterator[None]:
    """A subscriber says every duplicate and every crash: here they are the rule."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    try:
        yield
    finally:
        structlog.configure(**before)
