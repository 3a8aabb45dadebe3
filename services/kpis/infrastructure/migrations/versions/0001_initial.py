"""This migration makes KPIs, facts, the read model with its published views, and libraries' tables.

A migration is written out, because it says what it did on the day it was written. Tests compare it
with the tables and the views that the code uses.
"""

from alembic import op
from sqlalchemy import text

from libs.runtime import first_migration

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE kpis (
    tenant_id text NOT NULL,
    id text NOT NULL,
    name text NOT NULL,
    description text NOT NULL,
    sql_template text NOT NULL,
    owner text NOT NULL,
    status text NOT NULL,
    version integer NOT NULL,
    CONSTRAINT pk_kpis PRIMARY KEY (tenant_id, id),
    CONSTRAINT ck_kpis_status CHECK (status IN ('active', 'inactive'))
);

CREATE TABLE facts (
    event_id uuid CONSTRAINT pk_facts PRIMARY KEY,
    tenant_id text NOT NULL,
    type text NOT NULL,
    subject uuid NOT NULL,
    sequence integer NOT NULL,
    occurred_at timestamptz NOT NULL,
    data jsonb NOT NULL,
    heard_at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ix_facts_subject ON facts (subject);

CREATE TABLE purchases (
    subject uuid CONSTRAINT pk_purchases PRIMARY KEY,
    tenant_id text NOT NULL,
    customer_id uuid,
    vehicle_id uuid,
    seller_id uuid,
    amount_cents bigint,
    started_at timestamptz,
    sold_at timestamptz,
    sold_month text,
    outcome text,
    reason text,
    ended_at timestamptz,
    ended_month text
);
CREATE INDEX ix_purchases_tenant_id ON purchases (tenant_id);
CREATE INDEX ix_purchases_vehicle_id ON purchases (vehicle_id);

CREATE TABLE payouts (
    subject uuid CONSTRAINT pk_payouts PRIMARY KEY,
    tenant_id text NOT NULL,
    order_id uuid,
    seller_id uuid,
    amount_cents bigint,
    due_at timestamptz,
    due_month text,
    status text NOT NULL DEFAULT 'due',
    sequence integer NOT NULL DEFAULT 0
);
CREATE INDEX ix_payouts_tenant_id ON payouts (tenant_id);

CREATE TABLE vehicles (
    subject uuid CONSTRAINT pk_vehicles PRIMARY KEY,
    tenant_id text NOT NULL,
    seller_id uuid,
    make text,
    model text,
    year integer,
    price_cents bigint,
    sold_by_hand boolean NOT NULL DEFAULT false,
    listed_at timestamptz,
    listed_month text,
    withdrawn_at timestamptz,
    sequence integer NOT NULL DEFAULT 0
);
CREATE INDEX ix_vehicles_tenant_id ON vehicles (tenant_id);

CREATE TABLE customers (
    subject uuid CONSTRAINT pk_customers PRIMARY KEY,
    tenant_id text NOT NULL,
    registered_at timestamptz,
    registered_month text,
    erased_at timestamptz
);
CREATE INDEX ix_customers_tenant_id ON customers (tenant_id);
"""

# A trigger refuses changes for everybody; privileges would not bind the owner of the table.
APPEND_ONLY = """
CREATE FUNCTION refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'facts are only ever added to' USING ERRCODE = 'insufficient_privilege';
END $$
"""
TRIGGER = """
CREATE TRIGGER facts_are_append_only BEFORE UPDATE OR DELETE OR TRUNCATE ON facts
FOR EACH STATEMENT EXECUTE FUNCTION refuse_change()
"""

# A sale that was reversed has an outcome and is no sale, in whatever order both events come.
VIEWS = """
CREATE VIEW published.sales AS
SELECT tenant_id, subject AS order_id, customer_id, vehicle_id, seller_id, amount_cents AS amount,
    sold_at, sold_month AS month
FROM purchases WHERE sold_at IS NOT NULL AND ended_at IS NULL;

CREATE VIEW published.purchases AS
SELECT tenant_id, subject AS order_id, customer_id, vehicle_id, seller_id, amount_cents AS amount,
    coalesce(outcome, 'sold') AS outcome, reason, coalesce(ended_at, sold_at) AS ended_at,
    coalesce(ended_month, sold_month) AS month,
    extract(epoch FROM coalesce(ended_at, sold_at) - started_at)::float8 AS seconds
FROM purchases WHERE sold_at IS NOT NULL OR ended_at IS NOT NULL;

CREATE VIEW published.payouts AS
SELECT tenant_id, order_id, seller_id, amount_cents AS amount, status, due_at, due_month AS month
FROM payouts;

CREATE VIEW published.vehicles AS
SELECT tenant_id, subject AS vehicle_id, seller_id, make, model, year, price_cents AS price,
    CASE WHEN sold_by_hand OR EXISTS (
        SELECT FROM purchases
        WHERE vehicle_id = vehicles.subject AND sold_at IS NOT NULL AND ended_at IS NULL
    ) THEN 'sold' WHEN withdrawn_at IS NOT NULL THEN 'withdrawn' ELSE 'for_sale' END AS status,
    listed_at, listed_month AS month
FROM vehicles WHERE listed_at IS NOT NULL;

CREATE VIEW published.customers AS
SELECT tenant_id, subject AS customer_id, registered_at, registered_month AS month,
    erased_at IS NOT NULL AS is_erased
FROM customers WHERE registered_at IS NOT NULL;
"""

SHIPPED = [
    (
        "monthly_sales",
        "Monthly sales",
        "The total of the month's sales, in cents.",
        "SELECT SUM(amount) FROM sales WHERE month = :month",
    ),
    (
        "sales_per_month",
        "Sales per month",
        "How many vehicles were sold in each month, and for how much.",
        "SELECT month, COUNT(*) AS sales, SUM(amount) AS amount_cents FROM sales"
        " GROUP BY month ORDER BY month",
    ),
    (
        "conversion",
        "Conversion",
        "Of the purchases that ended in the month, how many in a hundred ended in a sale.",
        "SELECT ROUND(100.0 * COUNT(*) FILTER (WHERE outcome = 'sold') / NULLIF(COUNT(*), 0), 1)"
        " AS percent FROM purchases WHERE month = :month",
    ),
    (
        "median_time_to_purchase",
        "Median time to purchase",
        "From the order to the sale: half of the month's sales were quicker.",
        "SELECT PERCENTILE_CONT(0.5) WITHIN GROUP (ORDER BY seconds) AS seconds"
        " FROM purchases WHERE outcome = 'sold' AND month = :month",
    ),
    (
        "cancellations_by_reason",
        "Cancellations by reason",
        "Purchases of the month that were cancelled or failed, and why.",
        "SELECT outcome, reason, COUNT(*) AS purchases FROM purchases"
        " WHERE outcome <> 'sold' AND month = :month"
        " GROUP BY outcome, reason ORDER BY purchases DESC, outcome, reason",
    ),
    (
        "payouts_due",
        "Payouts due",
        "What sellers have not been paid yet: vehicles picked up, payouts not completed.",
        "SELECT status, COUNT(*) AS payouts, SUM(amount) AS amount_cents FROM payouts"
        " WHERE status <> 'paid' GROUP BY status ORDER BY status",
    ),
    (
        "vehicles_for_sale",
        "Vehicles for sale",
        "How many vehicles are for sale now, and what they cost together.",
        "SELECT COUNT(*) AS vehicles, COALESCE(SUM(price), 0) AS price_cents FROM vehicles"
        " WHERE status = 'for_sale'",
    ),
    (
        "new_customers",
        "New customers",
        "Customers who registered in the month.",
        "SELECT COUNT(*) AS customers FROM customers WHERE month = :month",
    ),
]


def upgrade() -> None:
    first_migration.install()
    # Provisioning makes the schema and its readers' privileges. A plain database has none yet.
    op.execute("CREATE SCHEMA IF NOT EXISTS published")
    first_migration.run(TABLES)
    op.execute(text(APPEND_ONLY))
    first_migration.run(TRIGGER, VIEWS)
    for kpi_id, name, description, sql_template in SHIPPED:
        row = {"id": kpi_id, "name": name, "description": description, "template": sql_template}
        op.get_bind().execute(
            text(
                "INSERT INTO kpis VALUES"
                " ('', :id, :name, :description, :template, 'mercado-veiculo', 'active', 1)"
            ),
            row,
        )


def downgrade() -> None:
    """Keep the schema, because the privileges of its readers come from provisioning."""
    for view in ("customers", "vehicles", "payouts", "purchases", "sales"):
        op.execute(text(f"DROP VIEW published.{view}"))
    for table in ("customers", "vehicles", "payouts", "purchases", "facts"):
        op.execute(text(f"DROP TABLE {table}"))
    op.execute(text("DROP TABLE kpis"))
    op.execute(text("DROP FUNCTION refuse_change()"))
    first_migration.uninstall()
