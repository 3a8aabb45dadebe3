"""These are the tables of payouts, beside those of the libraries."""

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    func,
)

from libs.calls.tables import call_columns
from services.payouts.domain.payout import Status
from services.tables import service_tables

metadata, TABLES, IDEMPOTENCY = service_tables("payouts")

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
    Column("version", Integer, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    *call_columns("payouts", "payout_id"),
    CheckConstraint(
        "status IN (" + ", ".join(f"'{status}'" for status in Status) + ")", name="status"
    ),
    CheckConstraint("amount_cents > 0", name="amount"),
    CheckConstraint("(next_attempt IS NOT NULL) = (status = 'PENDING')", name="next_attempt"),
    # One id is paid once, however many requests arrive at once.
    Index("ix_payouts_tenant_id_external_id", "tenant_id", "external_id", unique=True),
    Index("ix_payouts_tenant_id_payout_id", "tenant_id", "payout_id"),
    Index("ix_payouts_tenant_id_seller_id_payout_id", "tenant_id", "seller_id", "payout_id"),
)
