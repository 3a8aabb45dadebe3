"""The tables of the payouts database."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    Uuid,
    false,
    func,
    text,
)

from libs.messaging.schema.tables import messaging_tables
from libs.runtime.idempotency import idempotency_table
from services.payouts.domain.payout import Status

metadata = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "pk": "pk_%(table_name)s",
    }
)
TABLES = messaging_tables(metadata, source="payouts")
IDEMPOTENCY = idempotency_table(metadata)

payouts = Table(
    "payouts",
    metadata,
    Column("payout_id", Uuid, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("external_id", Text, nullable=False),
    Column("amount_cents", BigInteger, nullable=False),
    Column("seller_id", Uuid),
    Column("order_id", Uuid, unique=True),
    Column("status", Text, nullable=False),
    Column("bank_reference", Text),
    Column("reason", Text),
    Column("settled_by", Text),
    Column("settlement_note", Text),
    Column("needs_attention", Boolean, nullable=False, server_default=false()),
    Column("attempts", Integer, nullable=False),
    Column("claim", Uuid),
    Column("next_attempt", DateTime(timezone=True)),
    Column("version", Integer, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    CheckConstraint(
        "status IN (" + ", ".join(f"'{status}'" for status in Status) + ")", name="status"
    ),
    CheckConstraint("amount_cents > 0", name="amount"),
    CheckConstraint("(next_attempt IS NOT NULL) = (status = 'PENDING')", name="next_attempt"),
    # The service's promise: one id is paid once, however many requests arrive at once.
    Index("ix_payouts_tenant_id_external_id", "tenant_id", "external_id", unique=True),
    Index("ix_payouts_tenant_id_payout_id", "tenant_id", "payout_id"),
    Index("ix_payouts_tenant_id_seller_id_payout_id", "tenant_id", "seller_id", "payout_id"),
    Index(
        "ix_payouts_needs_attention",
        "tenant_id",
        "payout_id",
        postgresql_where=text("needs_attention"),
    ),
    Index("ix_payouts_due", "next_attempt", postgresql_where=text("next_attempt IS NOT NULL")),
)
