"""python -m deploy.cluster COMMAND runs the whole system on a cluster of this machine."""

import asyncio
import os
import sys
from typing import Annotated

import typer
from rich.console import Console

from deploy.cluster import system
from deploy.cluster.plan import BROKERS, MACHINES, REPLICAS
from deploy.local.state import FOLDER, NotUp, exclusive
from deploy.servers.processes import Children, StartFailed, StillRunning
from deploy.services import SERVICES
from libs.runtime.start_failure import StartFailure

PLACE = FOLDER / "cluster"

app = typer.Typer(no_args_is_help=True, pretty_exceptions_enable=False, add_completion=False)


@app.command()
def up(
    asynchronous: Annotated[
        bool, typer.Option("--asynchronous", help="A commit waits for no standby.")
    ] = False,
) -> None:
    """Start three brokers, three databases, proxies, and every service several times."""
    with exclusive(PLACE):
        cluster = system.up(PLACE, "asynchronous" if asynchronous else None)
    _tell(cluster)


@app.command()
def status() -> None:
    """Say what runs, and where."""
    cluster = system.Cluster(Children(PLACE, tied=False), system.load_plan(PLACE))
    if not cluster.children.running():
        raise NotUp("no cluster is up: ./taskw cluster up starts one")
    _tell(cluster)
    if missing := system.lost(PLACE):
        sys.exit(f"error: does not run any more: {', '.join(missing)} (./taskw cluster up)")


@app.command()
def down(
    clean: Annotated[bool, typer.Option("--clean", help="Delete its data too.")] = False,
) -> None:
    """Stop all of it; the data stays."""
    with exclusive(PLACE):
        stopped = system.down(PLACE)
        if clean:
            system.delete(PLACE)
    print(f"stopped {len(stopped)} processes" if stopped else "nothing ran")
    if clean:
        print("its data is deleted")


@app.command()
def verify(
    grace: Annotated[float, typer.Option(help="Seconds something may be on its way.")] = 5,
) -> None:
    """Check every invariant over all databases and queues of the cluster."""
    from deploy.checker import verify as checker  # only this needs it; it takes seconds

    cluster = system.Cluster(Children(PLACE, tied=False), system.load_plan(PLACE))
    console = Console(soft_wrap=True)
    try:
        hold = asyncio.run(checker.verify(cluster.installation, console, grace_seconds=grace))
    except checker.UNREACHABLE as error:
        why = " ".join(str(error).split()) or type(error).__name__
        raise NotUp(f"cannot verify: {why}") from None
    if not hold:
        sys.exit("error: not every invariant holds, see above")


@app.command()
def recover() -> None:
    """Repair what a failover with asynchronous replication has lost, and verify."""
    from deploy.backup.failure import BackupFailed  # only this needs it; it takes seconds
    from deploy.checker.verify import UNREACHABLE
    from deploy.cluster.recovery import recover as mend
    from libs.messaging.dead_letters.look import DeadLetterError

    with exclusive(PLACE):
        cluster = system.Cluster(Children(PLACE, tied=False), system.load_plan(PLACE))
        try:
            hold = mend(cluster)
        except (BackupFailed, DeadLetterError, *UNREACHABLE) as error:
            why = " ".join(str(error).removeprefix("error: ").split()) or type(error).__name__
            raise StartFailed(f"{why} (./taskw cluster up starts what is stopped)") from None
    if not hold:
        sys.exit("error: not every invariant holds, see above")


def _tell(cluster: system.Cluster) -> None:
    plan, running = cluster.plan, cluster.brokers.running()
    print(f"\nPostgres, through {cluster.installation.postgres}")
    for member in cluster.databases.members():
        lag = f", {member['lag']} bytes behind" if member.get("lag") else ""
        print(f"  {member['name']:10}{member['role']}, {member['state']}{lag}")
    print(f"RabbitMQ, its pages at http://127.0.0.1:{plan.management}")
    for name in BROKERS:
        print(f"  {name:10}{'runs' if name in running else 'is not there'}")
    print(f"Services, behind nginx, on {len(MACHINES)} machines and this one")
    for spec in SERVICES:
        mine = [each for each in REPLICAS if each.service == spec.name]
        alive = [each.role for each in mine if cluster.children.runs(each.name)]
        address = cluster.installation.services[spec.name]
        print(f"  {spec.name:10}{address}  {len(alive)} of {len(mine)}: {', '.join(alive)}")


def main() -> None:
    """End an error that can be expected with one clear line."""
    os.environ.update(system.NETWORK_IS_PRIVATE)
    os.environ["AUTH"] = "off"
    try:
        app(prog_name="cluster")
    except (StartFailed, StillRunning, NotUp, StartFailure) as error:
        sys.exit(f"error: {error}")


if __name__ == "__main__":
    main()
