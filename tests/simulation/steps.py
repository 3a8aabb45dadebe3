"""Records the steps of a run, so that they can be taken again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

from hypothesis.stateful import initialize, precondition, rule

When = Callable[[Any], Any]


@dataclass(frozen=True)
class Taken:
    """A `Taken` is a step with the arguments that were chosen for it."""

    name: str
    chosen: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={value}' for name, value in self.chosen.items())})"


KINDS: dict[str, tuple[When, Callable[..., None]]] = {}
"""By name: whether a step may be taken, and the function that takes it."""


def first_step(**chosen_from: Any) -> Callable[[Callable[..., None]], Any]:
    """Return the decorator for the step with which every run begins."""
    made: Any = initialize(**chosen_from)
    return lambda function: made(_written_down(function, lambda _: True))


def step(when: When | None = None, **chosen_from: Any) -> Callable[[Callable[..., None]], Any]:
    """Return the decorator for a rule of Hypothesis, in a machine whose `taken` lists its steps.
    `chosen_from` maps the names of the arguments to strategies.
    """
    made: Any = rule(**chosen_from)

    def decorate(function: Callable[..., None]) -> Any:
        found = made(_written_down(function, when or (lambda _: True)))
        return found if when is None else precondition(when)(found)

    return decorate


def _written_down(function: Callable[..., None], when: When) -> Callable[..., None]:
    @wraps(function)
    def taken(machine: Any, **chosen: Any) -> None:
        machine.taken.append(Taken(function.__name__, chosen))
        function(machine, **chosen)

    KINDS[function.__name__] = when, taken
    return taken
