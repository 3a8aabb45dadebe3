"""The inbox has one row for each message that was handled, written in the reaction's transaction.

A second copy of a message, from a relay or from the broker, finds the row of the first one.
"""

from collections.abc import Sequence
from enum import Enum
from uuid import UUID

from sqlalchemy import Table
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.kernel.ids import time_of

_INSERT = """
INSERT INTO {table} (consumer, message_id, made_at, payload_hash)
SELECT $1, * FROM unnest($2::uuid[], $3::timestamptz[], $4::bytea[])
ON CONFLICT DO NOTHING RETURNING message_id
"""

_HASHES = """
SELECT message_id, payload_hash FROM {table}
WHERE consumer = $1 AND message_id = ANY ($2::uuid[]) AND made_at = ANY ($3::timestamptz[])
"""


class Verdict(Enum):
    """The inbox says of a message: handle it, it was handled before, or its id is known with
    another content.
    """

    NEW = "new"
    DUPLICATE = "duplicate"
    TAMPERED = "tampered"


class Inbox:
    """An inbox looks up and records any number of messages in one statement."""

    def __init__(self, inbox: Table) -> None:
        self._insert = _INSERT.format(table=inbox.fullname)
        self._hashes = _HASHES.format(table=inbox.fullname)

    async def admit(
        self, connection: AsyncConnection, consumer: str, messages: Sequence[tuple[UUID, bytes]]
    ) -> list[Verdict]:
        """Record `(id, payload hash)` of each message. Returns one verdict for each, in their
        order.

        Ids are UUIDs of version 7. A second copy waits for the transaction that holds the first.
        """
        first = dict(reversed(messages))  # of copies in one batch the earliest counts
        ids = sorted(first)  # one order for all, so that two batches do not deadlock
        times = [time_of(identifier) for identifier in ids]
        hashes = [first[identifier] for identifier in ids]
        inserted = await connection.exec_driver_sql(self._insert, (consumer, ids, times, hashes))
        new = set(inserted.scalars())
        known = dict(first)
        if len(new) < len(ids):
            found = await connection.exec_driver_sql(self._hashes, (consumer, ids, times))
            known.update({row.message_id: row.payload_hash for row in found})
        verdicts = []
        for identifier, payload_hash in messages:
            if known[identifier] != payload_hash:
                verdicts.append(Verdict.TAMPERED)
            elif identifier in new:
                new.remove(identifier)
                verdicts.append(Verdict.NEW)
            else:
                verdicts.append(Verdict.DUPLICATE)
        return verdicts
