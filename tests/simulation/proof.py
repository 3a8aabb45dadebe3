"""Runs the simulation with a rule broken on purpose."""

from dataclasses import dataclass
from typing import Literal

from tests.simulation.machine import Story
from tests.simulation.mutations import Mutation
from tests.simulation.rules import InvariantBroken
from tests.simulation.running import chunks

Verdict = Literal["found", "not found", "harness failed"]


@dataclass(frozen=True)
class Proof:
    """`what` is the rule that broke, or the error of the harness, which proves nothing."""

    verdict: Verdict
    steps: int
    what: str = ""


def prove(mutation: Mutation, seed: int, most: int) -> Proof:
    """Simulate under the mutation until a rule breaks, or for `most` steps and the rest of the last
    chunk.
    """
    story = Story()
    with mutation():
        try:
            for _ in chunks(seed, most, story, explain=False):
                pass
        except InvariantBroken as broken:
            return Proof("found", story.broken_at or story.steps, broken.rule)
        except Exception as error:
            return Proof("harness failed", story.steps, f"{type(error).__name__}: {error}")
    return Proof("not found", story.steps)
