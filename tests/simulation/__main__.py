"""`./taskw soak` runs the simulation, `./taskw mutants` runs it with rules broken on purpose."""

import argparse
import json
import sys
import time
from contextlib import nullcontext
from pathlib import Path

from rich.console import Console
from rich.table import Table

from tests.simulation.machine import Story
from tests.simulation.mutations import MUTATIONS
from tests.simulation.orders_seen import OrdersSeen
from tests.simulation.proof import prove
from tests.simulation.rules import InvariantBroken
from tests.simulation.running import chunks, every_stage, fresh_seed

SOAK_STEPS = 1_000_000
MUTANT_STEPS = 100_000


def soak(console: Console, seed: int, steps: int, pairs: Path | None) -> bool:
    """Whether every rule held and every order was seen. A broken rule is shown with the shortest
    steps that break it. The orders that were seen are written to the file `pairs`, as JSON.
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


def mutants(console: Console, seed: int, most: int) -> bool:
    """Whether each mutation was found, and nothing was found without one."""
    console.print(f"again: ./taskw mutants --seed {seed} --steps {most}")
    table = Table("mutation", "found after", "rule broken", title=f"{len(MUTATIONS)} mutations")
    found, longest = 0, 0
    for sentence, mutation in MUTATIONS.items():
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
    return found == len(MUTATIONS) and unbroken.verdict == "not found"


def main() -> int:
    parser = argparse.ArgumentParser(prog="./taskw")
    tasks = parser.add_subparsers(dest="task", required=True)
    for name, steps in (("soak", SOAK_STEPS), ("mutants", MUTANT_STEPS)):
        task = tasks.add_parser(name, prog=f"./taskw {name}")
        task.add_argument("--seed", type=int, default=None)
        task.add_argument("--steps", type=int, default=steps)
        if name == "soak":
            task.add_argument("--pairs", type=Path, metavar="FILE", help="orders seen, as JSON")
    chosen = parser.parse_args()
    seed = fresh_seed() if chosen.seed is None else chosen.seed
    if chosen.task == "soak":
        return 0 if soak(Console(), seed, chosen.steps, chosen.pairs) else 1
    return 0 if mutants(Console(), seed, chosen.steps) else 1


if __name__ == "__main__":
    sys.exit(main())
