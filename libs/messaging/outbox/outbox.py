"""Events are rows of the outbox, written in the transaction of the change that they report."""

from collections.abc import Sequence
from dataclasses import dataclass
from uuid import UUID

from opentelemetry.propagate import inject
from sqlalchemy.ext.asyncio import AsyncConnection

from libs.kernel.clock import Clock, utc_now
from libs.kernel.events import DomainEvent
from libs.kernel.ids import IdFactory, uuid7
from libs.messaging.envelope import encode
from libs.messaging.outbox.causation import current_cause
from libs.messaging.schema.tables import MessagingTables

MAX_MESSAGE_BYTES = 128 * 1024

# This is one statement for any number of rows. It avoids SQLAlchemy's compiler, which takes time.
INSERT = """
INSERT INTO {table} (source, id, subject, type, body, traceparent)
SELECT $6, id, subject, type, body, traceparent
FROM unnest($1::uuid[], $2::text[], $3::text[], $4::bytea[], $5::text[])
    WITH ORDINALITY AS row (id, subject, type, body, traceparent, position)
ORDER BY position
"""


class MessageTooLarge(Exception):
    """The event's envelope is larger than a message may be; nothing was written."""


@dataclass(frozen=True, slots=True)
class OutboxRow:
    """This is an encoded event, ready to be written, with its cause and its trace context."""

    id: UUID
    subject: str
    type: str
    body: bytes
    traceparent: str | None


class Outbox:
    """An outbox writes a service's events into the caller's transaction. It never commits."""

    def __init__(
        self,
        service: str,
        tables: MessagingTables,
        *,
        clock: Clock = utc_now,
        ids: IdFactory = uuid7,
        max_message_bytes: int = MAX_MESSAGE_BYTES,
    ) -> None:
        self.service = service
        self.tables = tables
        self._insert = INSERT.format(table=tables.outbox.fullname)
        self._clock = clock
        self._ids = ids
        self._max_message_bytes = max_message_bytes

    def stage(self, event: DomainEvent) -> OutboxRow:
        """Encode `event` now, under the current cause and trace. Raises MessageTooLarge."""
        carrier: dict[str, str] = {}
        inject(carrier)
        traceparent = carrier.get("traceparent")
        event_id = self._ids()
        body = encode(
            event,
            event_id=event_id,
            source=self.service,
            time=self._clock(),
            cause=current_cause(),
            traceparent=traceparent,
        )
        if len(body) > self._max_message_bytes:
            raise MessageTooLarge(
                f"{event.type} is {len(body)} bytes, the limit is {self._max_message_bytes}"
            )
        return OutboxRow(event_id, str(event.subject), event.type, body, traceparent)

    async def write(self, connection: AsyncConnection, rows: Sequence[OutboxRow]) -> None:
        """Insert staged rows in order. The caller holds the lock of each row's aggregate, so that
        the numbers (`seq`) of one subject commit in the order they were given out.
        """
        if rows:
            await connection.exec_driver_sql(
                self._insert,
                (
                    [row.id for row in rows],
                    [row.subject for row in rows],
                    [row.type for row in rows],
                    [row.body for row in rows],
                    [row.traceparent for row in rows],
                    self.service,
                ),
            )

    async def add(self, connection: AsyncConnection, *events: DomainEvent) -> None:
        """Write events into the caller's transaction, after the aggregate is locked."""
        await self.write(connection, [self.stage(event) for event in events])
