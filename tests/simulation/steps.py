"""The steps of a run, written down as they are taken, so that they can be taken again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

from hypothesis.stateful import initialize, precondition, rule

When = Callable[[Any], Any]


@dataclass(frozen=True)
class Taken:
    """A rule and what was chosen for it."""

    name: str
    chosen: Mapping[str, Any]

    def __str__(self) -> str:
        return f"{self.name}({', '.join(f'{name}={value}' for name, value in self.chosen.items())})"


KINDS: dict[str, tuple[When, Callable[..., None]]] = {}
"""By name: when a step may be taken, and how."""


def first_step(**chosen_from: Any) -> Callable[[Callable[..., None]], Any]:
    """The step every run begins with."""
    made: Any = initialize(**chosen_from)
    return lambda function: made(_written_down(function, lambda _: True))


def step(when: When | None = None, **chosen_from: Any) -> Callable[[Callable[..., None]], Any]:
    """Hypothesis' rule, for a machine that keeps a list of the steps it has `taken`. `chosen_from`
    are strategies by the names of the arguments.
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
