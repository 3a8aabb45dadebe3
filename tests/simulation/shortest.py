"""The shortest way to break a rule: the steps of a run without all it can do without.

A step that is not possible any more when others are left out is passed over.
"""

from collections.abc import Iterator, Sequence

from tests.simulation.machine import Simulation, Story
from tests.simulation.rules import InvariantBroken
from tests.simulation.steps import KINDS, Taken

TRIES = 400


def shortest(steps: Sequence[Taken], rule: str) -> list[Taken]:
    """Still breaks the rule; found in so many tries at most."""
    found = list(steps)
    candidates = _shorter(found)
    for _ in range(TRIES):
        candidate = next(candidates, None)
        if candidate is None:
            break
        broken = again(candidate)
        if broken is not None and broken.rule == rule:
            found = candidate
            candidates = _shorter(found)
    return found


def again(steps: Sequence[Taken]) -> InvariantBroken | None:
    """Take these steps; what they break. A run that cannot be breaks nothing."""
    machine = type("Again", (Simulation,), {"story": Story()})()
    try:
        for each in steps:
            when, take = KINDS[each.name]
            if when(machine):
                take(machine, **each.chosen)
                machine.holds_always()
        machine.teardown()
    except InvariantBroken as broken:
        return broken
    except Exception:
        return None
    finally:
        machine.workers.close()
    return None


def _shorter(steps: list[Taken]) -> Iterator[list[Taken]]:
    """Without many steps, then without few, then without an item of what one was given."""
    size = len(steps) // 2
    while size:
        for at in range(0, len(steps), size):
            yield [*steps[:at], *steps[at + size :]]
        size //= 2
    for at, step in enumerate(steps):
        for simpler in _simpler(step):
            yield [*steps[:at], simpler, *steps[at + 1 :]]


def _simpler(step: Taken) -> Iterator[Taken]:
    for name, value in step.chosen.items():
        if isinstance(value, list):
            for at in range(len(value)):
                left = [*value[:at], *value[at + 1 :]]
                yield Taken(step.name, {**step.chosen, name: left})
