"""This migration makes the tables of orders with their purchases, and those of the libraries.

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

# Each page keeps room, because a purchase's state changes often and mostly touches no index.
TABLES = """
CREATE TABLE orders (
    id uuid CONSTRAINT pk_orders PRIMARY KEY,
    tenant_id text NOT NULL,
    customer_id uuid,
    vehicle_id uuid,
    total_cents bigint,
    status text NOT NULL,
    version integer NOT NULL,
    created_at timestamptz NOT NULL,
    state text,
    sequence integer NOT NULL DEFAULT 0,
    reason text,
    cancelled_by_buyer boolean NOT NULL DEFAULT false,
    seller_id uuid,
    payment_code text,
    code_expires_at timestamptz,
    due_at timestamptz,
    history jsonb NOT NULL DEFAULT '[]',
    CONSTRAINT ck_orders_both_or_neither CHECK ((customer_id IS NULL) = (vehicle_id IS NULL)),
    CONSTRAINT ck_orders_purchase
        CHECK (state IS NULL OR (vehicle_id IS NOT NULL AND total_cents IS NOT NULL)),
    CONSTRAINT ck_orders_status CHECK (status IN ('draft', 'confirmed', 'closed')),
    CONSTRAINT ck_orders_state CHECK (state IN (
        'REQUESTED', 'CREDIT_RESERVED', 'VEHICLE_RESERVED', 'AWAITING_PAYMENT', 'PAID',
        'COMPLETED', 'CLOSED', 'COMPENSATING', 'FAILED', 'CANCELLED'))
) WITH (fillfactor = 60);
CREATE INDEX ix_orders_tenant_id_id ON orders (tenant_id, id);
CREATE INDEX ix_orders_tenant_id_customer_id_id ON orders (tenant_id, customer_id, id);
CREATE INDEX ix_orders_due_at ON orders (due_at) WHERE due_at IS NOT NULL;
"""


def upgrade() -> None:
    first_migration.install()
    first_migration.run(TABLES)


def downgrade() -> None:
    op.execute(text("DROP TABLE orders"))
    first_migration.uninstall()
