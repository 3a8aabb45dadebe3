"""A published row is deleted, or kept in the archive for some days so that it can be replayed."""

from collections.abc import AsyncIterator, Collection
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.messaging.database import Connection

DELETE = "DELETE FROM outbox WHERE seq = ANY (ARRAY[{rows}]::bigint[])"

DELIVER_TO_ARCHIVE = """
WITH gone AS (
    DELETE FROM outbox WHERE seq = ANY (ARRAY[{rows}]::bigint[])
    RETURNING seq, id, subject, type, body, traceparent, created_at
)
INSERT INTO outbox_archive (seq, id, subject, type, body, traceparent, created_at)
TABLE gone
"""

_ARCHIVED = """
SELECT id, subject, type, body, traceparent FROM outbox_archive
WHERE type = ANY ($1) AND created_at >= $2 ORDER BY seq
"""


@dataclass(frozen=True, slots=True)
class Archived:
    id: UUID
    subject: str
    type: str
    body: bytes
    traceparent: str | None


async def archived(
    connection: Connection, types: Collection[str], since: datetime
) -> AsyncIterator[Archived]:
    """Yield delivered events of these types written since then, in the order of writing."""
    async with connection.transaction(readonly=True):
        async for record in connection.cursor(_ARCHIVED, list(types), since):
            yield Archived(*record)
