"""These are the tables of payments, beside those of the libraries."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    Table,
    Text,
    Uuid,
    func,
    text,
)

from libs.calls.tables import call_columns
from services.payments.domain.payment import State
from services.tables import service_tables

metadata, TABLES, IDEMPOTENCY = service_tables("payments")

payments = Table(
    "payments",
    metadata,
    Column("order_id", Uuid, primary_key=True),
    Column("payment_id", Uuid, nullable=False),
    Column("tenant_id", Text, nullable=False),
    Column("state", Text, nullable=False),
    Column("customer_id", Uuid),
    Column("amount_cents", BigInteger),
    Column("code", Text, unique=True),
    Column("expires_at", DateTime(timezone=True)),
    Column("method", Text),
    Column("cancellation_requested", Boolean, nullable=False),
    Column("charge_reference", Text),
    Column("charge_settled_by", Text),
    Column("charge_settlement_note", Text),
    Column("refund_reference", Text),
    Column("settled_by", Text),
    Column("settlement_note", Text),
    Column("reason", Text),
    Column("declines", Integer, nullable=False, server_default=text("0")),
    Column("refund_error", Text),
    Column("version", Integer, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    *call_columns("payments", "payment_id"),
    CheckConstraint("state IN (" + ", ".join(f"'{state}'" for state in State) + ")", name="state"),
    CheckConstraint(
        "(next_attempt IS NOT NULL) = (state IN ('PROCESSING', 'REFUNDING', 'REFUND_FAILED'))",
        name="next_attempt",
    ),
    Index("ix_payments_tenant_id_payment_id", "tenant_id", "payment_id", unique=True),
    Index("ix_payments_pending", "expires_at", postgresql_where=text("state = 'PENDING'")),
)
