"""The demo runs the scenarios against a running system, and shows what happened in it."""

import asyncio
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from uuid import UUID

import httpx
from rich.console import Console
from rich.progress import Progress, SpinnerColumn, TaskID, TextColumn

from deploy.checker.invariants import check
from deploy.checker.report import Report
from deploy.checker.verify import databases, record, show_report
from deploy.demo.market import Market, NotReached
from deploy.demo.scenarios import SCENARIOS, Scenario
from deploy.demo.timeline import draw, events_of
from deploy.installation import ADMINISTRATOR, CHOREOGRAPHY, Installation
from libs.messaging.saga.choreography import Choreography, read

CODE_LIFETIME_SECONDS = 6
"""A payment code lives this long in the demo: one purchase lets its code expire."""

QUIET_WITHIN_SECONDS = 20


@dataclass(frozen=True)
class Played:
    """`failure` says why the purchase did not end as it should; None when it did."""

    scenario: Scenario
    order_ids: Sequence[UUID]
    summary: str
    failure: str | None = None


async def play(addresses: Mapping[str, str], installation: Installation, console: Console) -> bool:
    """Play all scenarios. Returns whether each ended as it should and every invariant holds."""
    choreography, market = read(CHOREOGRAPHY), Market(addresses)
    try:
        played = await _play_all(market, console)
    finally:
        await market.close()
    found = databases(installation)
    for each in played:
        await _show(each, found, choreography.compensations, console)
    broker_url = installation.broker_url(ADMINISTRATOR)
    report = await _report_when_quiet(found, choreography, broker_url)
    show_report(report, console)
    await record(report, installation)
    return report.hold and not any(each.failure for each in played)


async def _play_all(market: Market, console: Console) -> list[Played]:
    columns = (SpinnerColumn(), TextColumn("{task.description}"))
    with Progress(*columns, console=console) as progress:
        return await asyncio.gather(
            *(
                _play(each, market, progress, progress.add_task(each.title, total=1))
                for each in SCENARIOS
            )
        )


async def _play(scenario: Scenario, market: Market, progress: Progress, task: TaskID) -> Played:
    try:
        order_ids, summary = await scenario.play(market)
    except (NotReached, AssertionError, httpx.HTTPError) as error:
        # The reason is printed below, because here the terminal's width would cut it.
        progress.update(task, description=f"[red]✘ {scenario.title}[/red]")
        return Played(scenario, (), "", failure=str(error) or type(error).__name__)
    description = f"[green]✔[/green] {scenario.title}: {summary}"
    progress.update(task, completed=1, description=description)
    return Played(scenario, order_ids, summary)


async def _show(
    played: Played,
    databases: Mapping[str, str],
    compensations: Collection[str],
    console: Console,
) -> None:
    console.print(f"\n[bold]{played.scenario.title}[/bold]", highlight=False)
    if played.failure:
        console.print(f"  {played.failure}", style="red", highlight=False, markup=False)
    for order_id in played.order_ids:
        console.print(f"  purchase {order_id}", style="dim", highlight=False)
        console.print(draw(await events_of(databases, [order_id]), compensations))


async def _report_when_quiet(
    databases: Mapping[str, str], choreography: Choreography, rabbitmq_url: str
) -> Report:
    """The last events may be on their way: check again until all holds, or the time is over."""
    deadline = time.monotonic() + QUIET_WITHIN_SECONDS
    while True:
        report = await check(
            databases, choreography.participants, rabbitmq_url=rabbitmq_url, grace_seconds=0
        )
        if report.hold or time.monotonic() > deadline:
            return report
        await asyncio.sleep(0.2)
