"""The library's tables are in the database of each service, beside the service's own.

`migrations` makes them in the service's Alembic migrations.

A row of the outbox is in one of three states. A *fresh* row was never tried; relays look for it by
`seq`. A *failing* row was tried without success (`attempts` > 0) and is due again at `due_at`. A
*parked* row (`due_at` is infinity) waits behind a row of its subject, and no relay looks at it
before its turn; a failing row that is parked waits for a person (see `error`).
"""

from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    LargeBinary,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
    func,
    text,
)


@dataclass(frozen=True)
class MessagingTables:
    outbox: Table
    outbox_archive: Table
    inbox: Table


def messaging_tables(metadata: MetaData, *, source: str | None = None) -> MessagingTables:
    """Define the library's tables in a service's metadata.

    `source` is the default of the outbox's column of that name, as it was given to
    `migrations.upgrade`. Raises ValueError for a metadata with a schema.
    """
    if metadata.schema is not None:
        raise ValueError(
            f"messaging_tables needs a MetaData without a schema, not {metadata.schema!r}:"
            " the relay finds its tables by the search_path of its connection"
        )
    outbox = Table(
        "outbox",
        metadata,
        Column("seq", BigInteger, Identity(always=True), primary_key=True),
        Column("id", Uuid, nullable=False),
        Column("subject", Text(collation="C"), nullable=False),
        Column("type", Text, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("traceparent", Text),
        Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("due_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        Column("attempts", SmallInteger, nullable=False, server_default=text("0")),
        Column("error", Text),
        Column("source", Text, nullable=False, server_default=source),
    )
    Index("outbox_subject_seq", outbox.c.subject, outbox.c.seq)
    Index(
        "outbox_fresh", outbox.c.seq, postgresql_where=text("attempts = 0 AND due_at < 'infinity'")
    )
    Index("outbox_failing", outbox.c.due_at, postgresql_where=text("attempts > 0"))
    Index(
        "outbox_parked", outbox.c.seq, postgresql_where=text("attempts = 0 AND due_at = 'infinity'")
    )
    outbox_archive = Table(
        "outbox_archive",
        metadata,
        Column("seq", BigInteger, primary_key=True),
        Column("id", Uuid, nullable=False),
        Column("subject", Text(collation="C"), nullable=False),
        Column("type", Text, nullable=False),
        Column("body", LargeBinary, nullable=False),
        Column("traceparent", Text),
        Column("created_at", DateTime(timezone=True), primary_key=True),
        Column("published_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        postgresql_partition_by="RANGE (created_at)",
    )
    inbox = Table(
        "inbox",
        metadata,
        Column("message_id", Uuid, primary_key=True),
        Column("consumer", Text, primary_key=True),
        Column("made_at", DateTime(timezone=True), primary_key=True),
        Column("payload_hash", LargeBinary, nullable=False),
        Column("handled_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
        postgresql_partition_by="RANGE (made_at)",
    )
    return MessagingTables(outbox, outbox_archive, inbox)
