"""These are the tables of customers, beside those of the libraries."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    Index,
    Integer,
    LargeBinary,
    Table,
    Text,
    Uuid,
    text,
)

from services.tables import service_tables

metadata, TABLES, IDEMPOTENCY = service_tables("customers")

customers = Table(
    "customers",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("user_id", Uuid),
    Column("version", Integer, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("name", LargeBinary),
    Column("email", LargeBinary),
    Column("phone", LargeBinary),
    Column("document", LargeBinary),
    Column("data_key", LargeBinary),
    Column("document_index", LargeBinary),
    Column("email_index", LargeBinary),
    Column("limit_cents", BigInteger, nullable=False),
    Column("wanted_limit_cents", BigInteger),
    Column("credit_asked_at", DateTime(timezone=True)),
    Column("credit_declined_at", DateTime(timezone=True)),
    Column("reserved_cents", BigInteger, nullable=False),
    Column("consumed_cents", BigInteger, nullable=False),
    Column("available_cents", BigInteger, nullable=False),
    Column("created_at", DateTime(timezone=True), nullable=False),
    Column("updated_at", DateTime(timezone=True), nullable=False),
    Column("erased_at", DateTime(timezone=True)),
    CheckConstraint(
        "available_cents >= 0 AND reserved_cents >= 0 AND consumed_cents >= 0", "credit"
    ),
    CheckConstraint("available_cents + reserved_cents + consumed_cents = limit_cents", "balance"),
    CheckConstraint(
        "num_nonnulls(name, email, phone, document, data_key, document_index, email_index)"
        " = CASE WHEN erased_at IS NULL THEN 7 ELSE 0 END",
        "erasure",
    ),
)
Index("uq_customers_document", customers.c.tenant_id, customers.c.document_index, unique=True)
Index(
    "uq_customers_user",
    customers.c.tenant_id,
    customers.c.user_id,
    unique=True,
    postgresql_where=text("user_id IS NOT NULL"),
)
Index("ix_customers_email", customers.c.tenant_id, customers.c.email_index)
Index("ix_customers_page", customers.c.tenant_id, customers.c.id)

Index(
    "ix_customers_credit_requests",
    customers.c.tenant_id,
    customers.c.credit_asked_at,
    customers.c.id,
    postgresql_where=text("credit_asked_at IS NOT NULL AND credit_declined_at IS NULL"),
)

credit_reservations = Table(
    "credit_reservations",
    metadata,
    Column("order_id", Uuid, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("customer_id", Uuid),
    Column("total_cents", BigInteger, nullable=False),
    Column("state", Text, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("order_closed", Boolean, nullable=False, server_default=text("false")),
    Column("created_at", DateTime(timezone=True), nullable=False, server_default=text("now()")),
    CheckConstraint("state IN ('RESERVED', 'REFUSED', 'RELEASED', 'CONSUMED')", "state"),
    CheckConstraint("total_cents >= 0", "total"),
)
Index(
    "ix_credit_reservations_open",
    credit_reservations.c.customer_id,
    postgresql_where=text("state = 'RESERVED' OR (state = 'CONSUMED' AND NOT order_closed)"),
)
