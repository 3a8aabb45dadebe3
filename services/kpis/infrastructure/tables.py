"""These are the tables of kpis. KPIs see only the views in the schema `published`."""

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
from sqlalchemy.dialects.postgresql import JSONB

from services.tables import service_tables

metadata, TABLES, IDEMPOTENCY = service_tables("kpis")

kpis = Table(
    "kpis",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("id", Text, primary_key=True),
    Column("name", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("sql_template", Text, nullable=False),
    Column("owner", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("version", Integer, nullable=False),
    CheckConstraint("status IN ('active', 'inactive')", name="status"),
)

facts = Table(
    "facts",
    metadata,
    Column("event_id", Uuid, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("subject", Uuid, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("occurred_at", DateTime(timezone=True), nullable=False),
    Column("data", JSONB, nullable=False),
    Column("heard_at", DateTime(timezone=True), nullable=False, server_default=func.now()),
    Index("ix_facts_subject", "subject"),
)

purchases = Table(
    "purchases",
    metadata,
    Column("subject", Uuid, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("customer_id", Uuid),
    Column("vehicle_id", Uuid),
    Column("seller_id", Uuid),
    Column("amount_cents", BigInteger),
    Column("started_at", DateTime(timezone=True)),
    Column("sold_at", DateTime(timezone=True)),
    Column("sold_month", Text),
    Column("outcome", Text),
    Column("reason", Text),
    Column("ended_at", DateTime(timezone=True)),
    Column("ended_month", Text),
    Index("ix_purchases_tenant_id", "tenant_id"),
    Index("ix_purchases_vehicle_id", "vehicle_id"),
)

payouts = Table(
    "payouts",
    metadata,
    Column("subject", Uuid, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("order_id", Uuid),
    Column("seller_id", Uuid),
    Column("amount_cents", BigInteger),
    Column("due_at", DateTime(timezone=True)),
    Column("due_month", Text),
    Column("status", Text, nullable=False, server_default=text("'due'")),
    Column("sequence", Integer, nullable=False, server_default=text("0")),
    Index("ix_payouts_tenant_id", "tenant_id"),
)

vehicles = Table(
    "vehicles",
    metadata,
    Column("subject", Uuid, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("seller_id", Uuid),
    Column("make", Text),
    Column("model", Text),
    Column("year", Integer),
    Column("price_cents", BigInteger),
    Column("sold_by_hand", Boolean, nullable=False, server_default=text("false")),
    Column("listed_at", DateTime(timezone=True)),
    Column("listed_month", Text),
    Column("withdrawn_at", DateTime(timezone=True)),
    Column("sequence", Integer, nullable=False, server_default=text("0")),
    Index("ix_vehicles_tenant_id", "tenant_id"),
)

customers = Table(
    "customers",
    metadata,
    Column("subject", Uuid, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("registered_at", DateTime(timezone=True)),
    Column("registered_month", Text),
    Column("erased_at", DateTime(timezone=True)),
    Index("ix_customers_tenant_id", "tenant_id"),
)

READ_MODEL = (purchases, payouts, vehicles, customers)
