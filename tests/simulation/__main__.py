"""`./taskw soak` runs both simulations, `./taskw mutants` runs them with rules broken on purpose.

`--tasks` runs only the second simulation: the interleavings of the messaging library's tasks.
"""

import argparse
import json
import sys
import time
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.simulation.interleavings.mutations import MUTATIONS as FAULTS
from tests.simulation.interleavings.proof import prove as prove_fault
from tests.simulation.interleavings.story import Taken, runs
from tests.simulation.machine import Story
from tests.simulation.mutations import MUTATIONS
from tests.simulation.mutations.registry import Mutation
from tests.simulation.orders_seen import OrdersSeen
from tests.simulation.proof import Proof, prove
from tests.simulation.rules import InvariantBroken
from tests.simulation.running import chunks, every_stage, fresh_seed

SOAK_STEPS = 1_000_000
TASK_STEPS = 10_000_000
MUTANT_STEPS = 100_000
TASK_MUTANT_STEPS = 1_000_000
RUNS_BETWEEN_LINES = 100


def soak(console: Console, seed: int, steps: int, pairs: Path | None) -> bool:
    """Return whether every rule held and every order was seen. A broken rule is shown with the
    shortest steps that break it. The orders seen are written to the file `pairs`, as JSON.
    """
    console.print(f"{steps:,} steps; again: ./taskw soak --seed {seed} --steps {steps}")
    story, started = Story(), time.monotonic()
    try:
        every_stage(story)
        for done in chunks(seed, steps, story):
            seconds = time.monotonic() - started
            console.print(f"{done:>12,} steps in {seconds:,.0f} s", highlight=False)
    except InvariantBroken as broken:
        console.print(f"[red]✘[/red] {broken}", highlight=False)
        for note in broken.__notes__:
            console.print(f"  {note}", highlight=False)
        return False
    console.print(f"[green]✔[/green] every invariant held; {time.monotonic() - started:,.0f} s")
    orders = OrdersSeen.of(story.seen)
    orders.show(console)
    if pairs is not None:
        pairs.write_text(json.dumps(orders.data(), indent=1))
    return not orders.missing and not orders.contradicted


def soak_tasks(console: Console, seed: int, steps: int) -> bool:
    """Return whether every rule held in whatever order tasks ran."""
    console.print(f"{steps:,} steps; again: ./taskw soak --tasks --seed {seed} --steps {steps}")
    taken, started = Taken(), time.monotonic()
    try:
        for number, _ in enumerate(runs(seed, steps, taken), start=1):
            if number % RUNS_BETWEEN_LINES == 0:
                seconds = time.monotonic() - started
                console.print(f"{taken.steps:>12,} steps in {seconds:,.0f} s", highlight=False)
    except InvariantBroken as broken:
        console.print(f"[red]✘[/red] {broken}", highlight=False)
        for note in broken.__notes__:
            console.print(f"  {note}", highlight=False)
        return False
    seconds = time.monotonic() - started
    console.print(f"[green]✔[/green] nothing was lost in {taken.steps:,} steps; {seconds:,.0f} s")
    return True


Prove = Callable[[Mutation, int, int], Proof]


def mutants(
    console: Console, mutations: Mapping[str, Mutation], prove: Prove, seed: int, most: int
) -> bool:
    """Return whether each mutation was found, and nothing was found without one."""
    table = Table("mutation", "found after", "rule broken", title=f"{len(mutations)} mutations")
    found, longest = 0, 0
    for sentence, mutation in mutations.items():
        proof = prove(mutation, seed, most)
        found += proof.verdict == "found"
        longest = max(longest, proof.steps)
        console.print(f"{sentence}: {proof.verdict}, {proof.steps:,} steps", highlight=False)
        colour = "green" if proof.verdict == "found" else "red"
        after = f"{proof.steps:,}" if proof.verdict == "found" else proof.verdict
        table.add_row(sentence, f"[{colour}]{after}[/{colour}]", proof.what)
    console.print(table)
    unbroken = prove(nullcontext, seed, longest)
    console.print(f"nothing broken: {unbroken.verdict} in {unbroken.steps:,} steps {unbroken.what}")
    return found == len(mutations) and unbroken.verdict == "not found"


def main() -> int:
    parser = argparse.ArgumentParser(prog="./taskw")
    tasks = parser.add_subparsers(dest="task", required=True)
    for name in ("soak", "mutants"):
        task = tasks.add_parser(name, prog=f"./taskw {name}")
        task.add_argument("--seed", type=int, default=None)
        task.add_argument("--steps", type=int, default=None)
        task.add_argument("--tasks", action="store_true", help="the second simulation only")
        if name == "soak":
            task.add_argument("--pairs", type=Path, metavar="FILE", help="orders seen, as JSON")
    chosen = parser.parse_args()
    console = Console()
    seed = fresh_seed() if chosen.seed is None else chosen.seed
    if chosen.task == "soak":
        held = chosen.tasks or soak(console, seed, chosen.steps or SOAK_STEPS, chosen.pairs)
        return 0 if soak_tasks(console, seed, chosen.steps or TASK_STEPS) and held else 1
    again = f" --steps {chosen.steps}" if chosen.steps else ""
    console.print(f"again: ./taskw mutants --seed {seed}{again}")
    steps, task_steps = chosen.steps or MUTANT_STEPS, chosen.steps or TASK_MUTANT_STEPS
    found = chosen.tasks or mutants(console, MUTATIONS, prove, seed, steps)
    return 0 if mutants(console, FAULTS, prove_fault, seed, task_steps) and found else 1


if __name__ == "__main__":
    sys.exit(main())
