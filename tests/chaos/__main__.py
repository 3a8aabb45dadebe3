"""`./taskw chaos` breaks the parts of a system under load, then verifies every purchase."""

import asyncio
import secrets
import signal
import sys
from types import FrameType
from typing import Annotated

import typer
from rich.console import Console

from deploy.checker.verify import show_report
from deploy.cluster.databases import Replication
from deploy.servers.processes import StartFailed
from tests.chaos import cluster_run
from tests.chaos.run import Result, run

app = typer.Typer(pretty_exceptions_enable=False, add_completion=False)


@app.command()
def chaos(
    seconds: Annotated[float, typer.Option(min=5, help="How long faults are injected.")] = 60,
    seed: Annotated[int | None, typer.Option(help="The same seed makes the same schedule.")] = None,
    cluster: Annotated[bool, typer.Option("--cluster", help="On a cluster, part by part.")] = False,
    asynchronous: Annotated[
        bool, typer.Option("--asynchronous", help="With --cluster: a commit waits for no standby.")
    ] = False,
) -> None:
    """Run the whole system under load, break its parts, repair them, and verify the invariants."""
    console = Console(soft_wrap=True, highlight=False)
    if asynchronous and not cluster:
        sys.exit("error: --asynchronous needs --cluster")
    seed = secrets.randbelow(10**6) if seed is None else seed
    try:
        if cluster:
            how: Replication = "asynchronous" if asynchronous else "synchronous"
            on_cluster = asyncio.run(cluster_run.run(seed, seconds, console.print, replication=how))
            show_cluster(on_cluster, console)
            well = on_cluster.well
        else:
            result = asyncio.run(run(seed, seconds, console.print))
            show(result, console)
            well = result.well
    except StartFailed as error:
        sys.exit(f"error: seed {seed}: {error}")
    if not well:
        sys.exit(f"error: not everything is well, see above (again: --seed {seed})")


def show(result: Result, console: Console) -> None:
    console.print(f"\n[bold]Chaos with seed {result.seed}[/bold]")
    recovery = "not reached" if result.recovery is None else f"{result.recovery:.1f} s"
    lines = {
        "faults": result.injected,
        "accepted": {"purchases": result.accepted},
        "ended": result.ended,
        "requests in vain": result.in_vain,
    }
    for title, counts in lines.items():
        counted = ", ".join(f"{what} {number}" for what, number in sorted(counts.items()))
        console.print(f"  {title:18}{counted or 'none'}")
    console.print(f"  {'recovered after':18}{recovery}")
    show_report(result.report, console)
    for sentence in result.harm[:50]:
        console.print(f"  ✘ {sentence}", style="red", markup=False)


def show_cluster(result: cluster_run.ClusterResult, console: Console) -> None:
    title = f"Chaos on a cluster with seed {result.seed}, {result.replication} replication"
    console.print(f"\n[bold]{title}[/bold]")
    console.print("  purchases flow again after, while the part is still broken")
    for each in result.recoveries:
        took = "not reached" if each.seconds is None else f"{each.seconds:.1f} s"
        bound = f" (bound {each.fault.bound:g} s)" if each.fault.bound else ""
        vain = f", {each.refused} requests in vain" if each.refused else ""
        console.print(f"  {each.fault!s:42}{took:>8}{bound}{vain}")
    ended = ", ".join(f"{what} {number}" for what, number in sorted(result.ended.items()))
    console.print(f"  accepted {result.accepted} purchases: {ended}")
    show_report(result.report, console)
    for sentence in result.harm[:50]:
        console.print(f"  ✘ {sentence}", style="red", markup=False)


def _leave(_signal: int, _frame: FrameType | None) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)  # what was started is stopped undisturbed
    sys.exit(143)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _leave)
    app()
