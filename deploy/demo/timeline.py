"""A timeline has every event of a purchase, read from the archives of all outboxes."""

import json
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

import asyncpg
from rich.table import Table


@dataclass(frozen=True)
class Happened:
    time: datetime
    service: str
    event_type: str
    reason: str | None


async def events_of(databases: Mapping[str, str], order_ids: Sequence[UUID]) -> list[Happened]:
    """Return all events about these purchases, oldest first. `databases` are asyncpg URLs by
    service. Events of one service at the same instant keep the order in which they were published.
    """
    happened: list[Happened] = []
    subjects = [str(order_id) for order_id in order_ids]
    for url in databases.values():
        connection = await asyncpg.connect(url)
        try:
            rows = await connection.fetch(
                "SELECT seq, body FROM outbox_archive WHERE subject = ANY($1)"
                " UNION ALL SELECT seq, body FROM outbox WHERE subject = ANY($1) ORDER BY seq",
                subjects,
            )
        finally:
            await connection.close()
        happened += [_happened(row["body"]) for row in rows]
    return sorted(happened, key=lambda event: event.time)


def draw(happened: Sequence[Happened], compensations: Collection[str]) -> Table:
    """Draw a line for each event: milliseconds since the first one, the service, the event. The
    types in `compensations` have another colour.
    """
    table = Table(box=None, show_header=False, padding=(0, 2), pad_edge=False)
    table.add_column(justify="right", style="dim")
    for _ in range(2):
        table.add_column()
    for event in happened:
        since_start = (event.time - happened[0].time).total_seconds() * 1000
        colour = "yellow" if event.event_type in compensations else "green"
        name = event.event_type.removesuffix(".v1")
        reason = f"  [dim]{event.reason}[/dim]" if event.reason else ""
        table.add_row(
            f"{since_start:,.0f} ms", event.service, f"[{colour}]{name}[/{colour}]{reason}"
        )
    return table


def _happened(body: bytes) -> Happened:
    envelope = json.loads(body)
    return Happened(
        datetime.fromisoformat(envelope["time"]),
        envelope["source"],
        envelope["type"],
        envelope["data"].get("reason"),
    )
