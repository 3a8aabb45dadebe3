"""Daily partitions of the inbox and the outbox archive: made ahead, dropped behind.

The work is done by a function in the database that belongs to the tables' owner, so that the
service's own role needs no right to create or drop anything.
"""

import re
from datetime import timedelta

from libs.messaging.database import Connection

DAYS_AHEAD = 7

_PARTITION = re.compile(r"(inbox|outbox_archive)_(\d{8}|default)")


def include_name(name: str | None, kind: str, _parents: object = None) -> bool:
    """For Alembic's `context.configure(include_name=...)`: partitions are not in the metadata."""
    return not (kind == "table" and name is not None and _PARTITION.fullmatch(name))


async def maintain(
    connection: Connection, *, keep_archive: timedelta | None, keep_inbox: timedelta
) -> list[str]:
    """Make the coming days' partitions and drop those that ended longer ago than asked.

    `keep_archive` None: nothing is archived, old partitions go as soon as their day is over.
    Returns what could not be done, a sentence each: call again later.
    """
    rows = await connection.fetch(
        "SELECT messaging_maintain_partitions($1, $2, $3)",
        DAYS_AHEAD,
        0 if keep_archive is None else _whole_days(keep_archive),
        _whole_days(keep_inbox),
    )
    return [row[0] for row in rows]


def _whole_days(span: timedelta) -> int:
    return span.days + (span % timedelta(days=1) > timedelta(0))
