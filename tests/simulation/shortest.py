"""The shortest way to break a rule: the steps of a run without all it can do without.

A step that is not possible any more when others are left out is passed over.
"""

from collections.abc import Sequence

from tests.simulation.machine import Simulation, Story
from tests.simulation.rules import InvariantBroken
from tests.simulation.steps import KINDS, Step

TRIES = 400


def shortest(steps: Sequence[Step], rule: str) -> list[Step]:
    """Still breaks the rule; found in so many tries at most."""
    found, left = list(steps), TRIES
    size = len(found) // 2
    while size and left:
        at, before = 0, len(found)
        while at < len(found) and left:
            candidate = [*found[:at], *found[at + size :]]
            left -= 1
            broken = again(candidate)
            if broken is not None and broken.rule == rule:
                found = candidate
            else:
                at += size
        size = size // 2 if size > 1 else int(len(found) < before)
    return found


def again(steps: Sequence[Step]) -> InvariantBroken | None:
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
