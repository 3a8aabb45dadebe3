"""Runs the simulation from a seed. The same seed and number of steps give the same events."""

import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from math import ceil
from unittest.mock import patch

import hypothesis
import structlog
from hypothesis import HealthCheck, Phase, Verbosity, settings
from hypothesis.internal.cache import LRUCache
from hypothesis.internal.conjecture import providers
from hypothesis.internal.constants_ast import Constants
from hypothesis.stateful import run_state_machine_as_test

from tests.simulation.machine import MAY_BE_LATE, Begun, Simulation, Story
from tests.simulation.rules import InvariantBroken
from tests.simulation.shortest import again, shortest, take
from tests.simulation.stages import STAGES, Flaw
from tests.simulation.steps import Taken

STEPS_IN_A_RUN = 100
STAGES_WITH_A_FLAW = ("paid", "cancelled", "cancelled to be paid")
"""These stages are enough for a flaw that keeps a purchase from being paid."""
RUNS_IN_A_CHUNK = 20
"""Hypothesis keeps every run of a chunk in memory, so that large chunks are slow."""


def fresh_seed() -> int:
    return secrets.randbelow(10**6)


def chunks(seed: int, steps: int, story: Story, *, explain: bool = True) -> Iterator[int]:
    """Take at least `steps` steps, and yield their number so far after each chunk. The first chunk
    has the seed `seed`, and each further chunk the next number.

    Raises InvariantBroken. With `explain`, its notes are the shortest steps that lead to it.
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


def every_stage(story: Story, *, explain: bool = True) -> None:
    """Go through every stage and every flaw in three runs without random choices. In the first run
    few events are late. In the two others, orders consumes late events in opposite orders. Together
    the runs show every pair of events in both orders.

    Raises InvariantBroken, as `chunks` does.
    """
    of_orders = [queue for queue in MAY_BE_LATE if queue.startswith("orders.")]
    for order, late in ((0, []), (0, of_orders), (1, of_orders)):
        begun: list[Begun] = [
            (stage, flaw, "yes", late) for flaw in (None, Flaw.SILENCE) for stage in STAGES
        ]
        begun += [(stage, flaw, "yes", late) for flaw in Flaw for stage in STAGES_WITH_A_FLAW]
        opening = {"limits": [5, 2], "offers": 1, "order": order, "patient": True, "begun": begun}
        try:
            take([Taken("open_the_market", opening)], story)
        except InvariantBroken as broken:
            if not explain:
                raise
            raise _explained(broken, story, "again: ./taskw soak") from None


def simulate(seed: int, steps: int) -> Story:
    """Take at least `steps` steps. Raises InvariantBroken."""
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
    with without_logs(), _the_same_numbers_everywhere():
        try:
            run_state_machine_as_test(machine, settings=how)
        finally:
            # Hypothesis drops what a teardown raises in a run that it has cut short itself.
            if story.broken is not None:
                raise story.broken


def _explained(broken: InvariantBroken, story: Story, how: str) -> InvariantBroken:
    with without_logs():
        steps = shortest(story.broken_by, broken.rule)
        found = again(steps) or broken
    for each in (*steps, how):
        found.add_note(str(each))
    return found


@contextmanager
def _the_same_numbers_everywhere() -> Iterator[None]:
    """Keep the numbers that Hypothesis draws the same in every process. Hypothesis draws numbers
    that it finds in loaded modules more often, and has no setting against that.
    """
    with (
        patch.object(providers, "_get_local_constants", Constants),
        patch.object(providers, "CONSTANTS_CACHE", LRUCache(1024)),
    ):
        yield


@contextmanager
def without_logs() -> Iterator[None]:
    """Leave out warnings: duplicates and crashes are normal here."""
    before = structlog.get_config()
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger("critical"))
    try:
        yield
    finally:
        structlog.configure(**before)
