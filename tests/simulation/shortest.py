"""Finds a shorter run that breaks the same rule, by leaving out steps.

A step that is no longer possible without the others is skipped.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from tests.simulation.machine import Simulation, Story
from tests.simulation.rules import InvariantBroken
from tests.simulation.steps import KINDS, Taken

TRIES = 400


def shortest(steps: Sequence[Taken], rule: str) -> list[Taken]:
    """Return the shortest steps that still break the rule, after TRIES attempts at most."""
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
    """Take these steps. Returns the InvariantBroken they raise; another error counts as none."""
    try:
        take(steps, Story())
    except InvariantBroken as broken:
        return broken
    except Exception:
        return None
    return None


def take(steps: Sequence[Taken], story: Story) -> None:
    """Take these steps in one run, and judge it. Raises InvariantBroken."""
    machine = type("Again", (Simulation,), {"story": story})()
    try:
        for each in steps:
            when, take_step = KINDS[each.name]
            if when(machine):
                take_step(machine, **each.chosen)
                machine.holds_always()
        machine.teardown()
    finally:
        machine.workers.close()


def _shorter(steps: list[Taken]) -> Iterator[list[Taken]]:
    """Leave out many steps, then few, then items of one step's arguments."""
    yield from _without(steps)
    for at, step in enumerate(steps):
        for simpler in _simpler(step):
            yield [*steps[:at], simpler, *steps[at + 1 :]]


def _simpler(step: Taken) -> Iterator[Taken]:
    for name, value in step.chosen.items():
        if isinstance(value, list):
            for simpler in (*_without(value), *_emptied(value)):
                yield Taken(step.name, {**step.chosen, name: simpler})


def _without(items: list[Any]) -> Iterator[list[Any]]:
    """Leave out each half of the items, then each quarter, and so on to each single item."""
    size = (len(items) + 1) // 2
    while size:
        for at in range(0, len(items), size):
            yield [*items[:at], *items[at + size :]]
        size //= 2


def _emptied(items: list[Any]) -> Iterator[list[Any]]:
    """Empty the lists inside each item."""
    for at, item in enumerate(items):
        if isinstance(item, tuple) and any(isinstance(each, list) and each for each in item):
            bare = tuple([] if isinstance(each, list) else each for each in item)
            yield [*items[:at], bare, *items[at + 1 :]]
