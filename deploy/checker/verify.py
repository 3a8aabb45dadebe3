"""The checker's result is shown at the terminal and recorded in the portal, for operators."""

import time
from collections.abc import Iterable, Mapping
from datetime import datetime

import asyncpg
from aio_pika.exceptions import AMQPError
from rich.console import Console

from deploy.checker.invariants import check
from deploy.checker.report import Report
from deploy.commands import CommandRefused, command
from deploy.installation import ADMINISTRATOR, CHOREOGRAPHY, SUPERUSER, Installation
from deploy.services import SERVICES
from libs.messaging.saga.choreography import read
from libs.runtime.auth import DEFAULT_TENANT

UNREACHABLE = (OSError, asyncpg.PostgresError, asyncpg.InterfaceError, AMQPError, CommandRefused)
"""`verify` raises these errors where a server cannot be reached."""


def databases(installation: Installation) -> Mapping[str, str]:
    """Return the URL of each service's database, with the role that may read everything."""
    return {spec.name: installation.database_url(spec.name, SUPERUSER) for spec in SERVICES}


async def verify(installation: Installation, console: Console, *, grace_seconds: float) -> bool:
    """Check now, without purchases under way. Returns whether every invariant holds."""
    started = time.monotonic()
    with console.status("connecting") as status:
        report = await check(
            databases(installation),
            read(CHOREOGRAPHY).participants,
            rabbitmq_url=installation.broker_url(ADMINISTRATOR),
            grace_seconds=grace_seconds,
            tell=status.update,
        )
    show_report(report, console)
    console.print(f"  in {time.monotonic() - started:.1f} s", style="dim", highlight=False)
    await record(report, installation)
    return report.hold


async def record(
    report: Report,
    installation: Installation,
    *,
    tenants: Iterable[str] = (DEFAULT_TENANT,),
    started: datetime | None = None,
) -> None:
    """Record in the audits of these tenants which rules were broken, without ids. A check that
    began at `started`, by the portal's database, answers earlier requests. Raises CommandRefused.
    """
    broken = [each.rule for each in report.invariants if each.count]
    for tenant in tenants:
        await command(
            installation,
            "portal",
            "record-check",
            f"--tenant={tenant}",
            f"--purchases={report.purchases}",
            f"--passed-over={report.passed_over}",
            *([f"--started={started.isoformat(timespec='microseconds')}"] if started else []),
            *(f"--broken={rule}" for rule in broken),
        )


def show_report(report: Report, console: Console) -> None:
    moving = f", {report.passed_over:,} of them on their way" if report.passed_over else ""
    title = f"\n[bold]Invariants over all databases[/bold] ({report.purchases:,} purchases{moving})"
    console.print(title, highlight=False)
    for invariant in report.invariants:
        mark = "[red]✘[/red]" if invariant.count else "[green]✔[/green]"
        console.print(f"  {mark} {invariant.rule}", highlight=False)
        for sentence in invariant.broken:
            console.print(f"      {sentence}", style="red", highlight=False, markup=False)
        if invariant.count > len(invariant.broken):
            console.print(f"      {invariant.count:,} in all", style="red", highlight=False)
    for note in report.notes:
        console.print(f"  ! {note}", style="yellow", highlight=False, markup=False)
