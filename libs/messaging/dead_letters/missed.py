"""This module finds the events in a publisher's archive that a reaction has never handled."""

from collections.abc import AsyncIterator
from datetime import datetime

from libs.messaging.database import Connection
from libs.messaging.relay.archive import Archived

AT_A_TIME = 1_000

_ARCHIVED = """
    SELECT seq, created_at, id FROM outbox_archive
     WHERE type = $1 AND created_at >= $2 AND seq > $3 ORDER BY seq LIMIT $4"""
_NOT_HANDLED = """
    SELECT event.id FROM unnest($1::uuid[]) AS event (id)
     WHERE NOT EXISTS (SELECT FROM inbox WHERE message_id = event.id AND consumer = $2)"""
_EVENTS = """
    SELECT id, subject, type, body, traceparent FROM outbox_archive
      JOIN unnest($1::bigint[], $2::timestamptz[]) AS wanted (seq, created_at)
     USING (seq, created_at) ORDER BY seq"""


async def missed(
    archive: Connection, inbox: Connection, queue: str, event_type: str, since: datetime
) -> AsyncIterator[list[Archived]]:
    """Yield the events written since then, in the order they were written, at most `AT_A_TIME`
    together. No transaction stays open while the caller works on them.
    """
    last = -1
    while rows := await archive.fetch(_ARCHIVED, event_type, since, last, AT_A_TIME):
        last = rows[-1]["seq"]
        found = await inbox.fetch(_NOT_HANDLED, [row["id"] for row in rows], queue)
        ids = {row["id"] for row in found}
        places = [(row["seq"], row["created_at"]) for row in rows if row["id"] in ids]
        if places:
            seqs, times = zip(*places, strict=True)
            yield [Archived(*row) for row in await archive.fetch(_EVENTS, seqs, times)]
