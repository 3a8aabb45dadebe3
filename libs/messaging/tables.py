"""The library's tables. They stand in the database of each service, beside its own.

`install` and `uninstall` are for the service's first Alembic migration.
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


def messaging_tables(metadata: MetaData) -> MessagingTables:
    """Define the library's tables in a service's metadata."""
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
    )
    Index("outbox_subject_seq", outbox.c.subject, outbox.c.seq)
    Index("outbox_unparked", outbox.c.seq, postgresql_where=text("due_at < 'infinity'"))
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
