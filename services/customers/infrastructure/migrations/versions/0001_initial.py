"""This migration makes the tables of customers, of their credit and of the libraries.

A migration is written out, because it says what it did on the day it was written. A test compares
it with the tables that the code uses.
"""

from alembic import op
from sqlalchemy import text

from libs.runtime import first_migration

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

# Each page keeps room, because credit changes often and no index covers it.
TABLES = """
CREATE TABLE customers (
    id uuid CONSTRAINT pk_customers PRIMARY KEY,
    tenant_id text NOT NULL,
    version integer NOT NULL,
    sequence integer NOT NULL,
    name bytea,
    email bytea,
    phone bytea,
    document bytea,
    data_key bytea,
    document_index bytea,
    email_index bytea,
    limit_cents bigint NOT NULL,
    reserved_cents bigint NOT NULL,
    consumed_cents bigint NOT NULL,
    available_cents bigint NOT NULL,
    created_at timestamptz NOT NULL,
    updated_at timestamptz NOT NULL,
    erased_at timestamptz,
    CONSTRAINT ck_customers_credit
        CHECK (available_cents >= 0 AND reserved_cents >= 0 AND consumed_cents >= 0),
    CONSTRAINT ck_customers_balance
        CHECK (available_cents + reserved_cents + consumed_cents = limit_cents),
    CONSTRAINT ck_customers_erasure
        CHECK (num_nonnulls(name, email, phone, document, data_key, document_index, email_index)
            = CASE WHEN erased_at IS NULL THEN 7 ELSE 0 END)
) WITH (fillfactor = 70);
CREATE UNIQUE INDEX uq_customers_document ON customers (tenant_id, document_index);
CREATE INDEX ix_customers_email ON customers (tenant_id, email_index);
CREATE INDEX ix_customers_page ON customers (tenant_id, id);

CREATE TABLE credit_reservations (
    order_id uuid CONSTRAINT pk_credit_reservations PRIMARY KEY,
    tenant_id text NOT NULL,
    customer_id uuid,
    total_cents bigint NOT NULL,
    state text NOT NULL,
    sequence integer NOT NULL,
    order_closed boolean NOT NULL DEFAULT false,
    created_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT ck_credit_reservations_state
        CHECK (state IN ('RESERVED', 'REFUSED', 'RELEASED', 'CONSUMED')),
    CONSTRAINT ck_credit_reservations_total CHECK (total_cents >= 0)
);
CREATE INDEX ix_credit_reservations_open ON credit_reservations (customer_id)
    WHERE state = 'RESERVED' OR (state = 'CONSUMED' AND NOT order_closed);
"""


def upgrade() -> None:
    first_migration.install()
    first_migration.run(TABLES)


def downgrade() -> None:
    for table in ("credit_reservations", "customers"):
        op.execute(text(f"DROP TABLE {table}"))
    first_migration.uninstall()
