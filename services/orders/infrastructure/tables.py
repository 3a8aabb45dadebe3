"""These are the tables of orders, beside those of the libraries."""

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
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from services.orders.domain.states import State, Status
from services.tables import service_tables

metadata, TABLES, IDEMPOTENCY = service_tables("orders")

orders = Table(
    "orders",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("customer_id", Uuid),
    Column("vehicle_id", Uuid),
    Column("total_cents", BigInteger),
    Column("status", Text, nullable=False),
    Column("version", Integer, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("state", Text),
    Column("sequence", Integer, nullable=False, server_default=text("0")),
    Column("reason", Text),
    Column("cancelled_by_buyer", Boolean, nullable=False, server_default=text("false")),
    Column("seller_id", Uuid),
    Column("payment_code", Text),
    Column("code_expires_at", DateTime(timezone=True)),
    Column("due_at", DateTime(timezone=True)),
    Column("history", JSONB, nullable=False, server_default=text("'[]'")),
    CheckConstraint("(customer_id IS NULL) = (vehicle_id IS NULL)", name="both_or_neither"),
    CheckConstraint(
        "state IS NULL OR (vehicle_id IS NOT NULL AND total_cents IS NOT NULL)", name="purchase"
    ),
    CheckConstraint(f"status IN ({', '.join(repr(each.value) for each in Status)})", name="status"),
    CheckConstraint(f"state IN ({', '.join(repr(each.value) for each in State)})", name="state"),
)
Index(None, orders.c.tenant_id, orders.c.id)
Index(None, orders.c.tenant_id, orders.c.customer_id, orders.c.id)
Index(None, orders.c.due_at, postgresql_where=orders.c.due_at.is_not(None))
