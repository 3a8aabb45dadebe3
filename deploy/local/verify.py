"""The checker's result, shown at the terminal and left where operators find it: in the portal."""

from collections.abc import Mapping
from typing import Any

from rich.console import Console

from deploy.installation import SUPERUSER, Installation
from deploy.local.invariants import Report, check
from deploy.services import SERVICES, service_named
from libs.messaging.discovery import load, named_participants
from libs.runtime.auth import DEFAULT_TENANT
from services.portal.infrastructure.checks import record_check
from services.portal.infrastructure.settings import PortalSettings
from services.portal.main import connect


def databases(installation: Installation) -> Mapping[str, str]:
    """Of each service, as the one who may read everything."""
    return {spec.name: installation.database_url(spec.name, SUPERUSER) for spec in SERVICES}


async def verify(installation: Installation, console: Console) -> bool:
    """Check now, passing over what is on its way; whether every invariant holds."""
    report = await check(databases(installation), load(named_participants([])))
    show_report(report, console)
    await record(report, installation)
    return report.hold


async def record(report: Report, installation: Installation) -> None:
    """Into the portal's audits: which rules were broken, not by whom."""
    environment = installation.settings(service_named("portal"), "127.0.0.1", 0)
    chosen: dict[str, Any] = {name.lower(): value for name, value in environment.items()}
    transactions = connect(PortalSettings(_env_file=None, **chosen))
    try:
        await record_check(
            transactions,
            tenant_id=DEFAULT_TENANT,
            purchases=report.purchases,
            passed_over=report.passed_over,
            broken=[each.rule for each in report.invariants if each.broken],
        )
    finally:
        await transactions.engine.dispose()


def show_report(report: Report, console: Console) -> None:
    title = f"\n[bold]Invariants over all databases[/bold] ({report.purchases} purchases)"
    console.print(title, highlight=False)
    for invariant in report.invariants:
        mark = "[red]✘[/red]" if invariant.broken else "[green]✔[/green]"
        console.print(f"  {mark} {invariant.rule}", highlight=False)
        for sentence in invariant.broken[:10]:
            console.print(f"      {sentence}", style="red", highlight=False)
    for note in report.notes:
        console.print(f"  ! {note}", style="yellow", highlight=False)
