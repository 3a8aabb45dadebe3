"""This migration makes the tables of payments, of the sandbox gateway and of the libraries."""

import sqlalchemy as sa
from alembic import op

from libs.runtime import first_migration

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    first_migration.install()
    _create_payments()
    op.create_table(
        "sandbox_operations",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("order_id", sa.Uuid, nullable=False),
        sa.Column("amount_cents", sa.BigInteger, nullable=False),
        sa.Column("method", sa.Text, nullable=False),
        sa.Column("outcome", sa.Text, nullable=False),
        sa.Column("calls", sa.Integer, nullable=False),
        first_migration.stamp("made_at"),
    )
    op.create_index("ix_sandbox_operations_order_id", "sandbox_operations", ["order_id"])


def downgrade() -> None:
    op.drop_table("sandbox_operations")
    op.drop_table("payments")
    first_migration.uninstall()


def _create_payments() -> None:
    op.create_table(
        "payments",
        sa.Column("order_id", sa.Uuid, primary_key=True),
        sa.Column("payment_id", sa.Uuid, nullable=False),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("state", sa.Text, nullable=False),
        sa.Column("customer_id", sa.Uuid),
        sa.Column("amount_cents", sa.BigInteger),
        sa.Column("code", sa.Text, unique=True),
        sa.Column("expires_at", sa.DateTime(timezone=True)),
        sa.Column("method", sa.Text),
        sa.Column("cancellation_requested", sa.Boolean, nullable=False),
        sa.Column("charge_reference", sa.Text),
        sa.Column("refund_reference", sa.Text),
        sa.Column("settled_by", sa.Text),
        sa.Column("settlement_note", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("refund_error", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("claim", sa.Uuid),
        sa.Column("next_attempt", sa.DateTime(timezone=True)),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        first_migration.stamp("updated_at"),
        sa.CheckConstraint(
            "state IN ('PENDING', 'PROCESSING', 'PROCESSED', 'FAILED', 'EXPIRED', 'VOIDED',"
            " 'REFUNDING', 'REFUND_FAILED', 'REFUNDED')",
            name="state",
        ),
        sa.CheckConstraint(
            "(next_attempt IS NOT NULL) = (state IN ('PROCESSING', 'REFUNDING', 'REFUND_FAILED'))",
            name="next_attempt",
        ),
    )
    op.create_index(
        "ix_payments_tenant_id_payment_id", "payments", ["tenant_id", "payment_id"], unique=True
    )
    op.create_index(
        "ix_payments_pending",
        "payments",
        ["expires_at"],
        postgresql_where=sa.text("state = 'PENDING'"),
    )
    op.create_index(
        "ix_payments_due",
        "payments",
        ["next_attempt"],
        postgresql_where=sa.text("next_attempt IS NOT NULL"),
    )
