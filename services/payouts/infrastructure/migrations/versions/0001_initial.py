"""This migration makes the tables of payouts, of the sandbox bank and of the libraries."""

import sqlalchemy as sa
from alembic import op

from libs.runtime import first_migration

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    first_migration.install()
    _create_payouts()
    op.create_table(
        "sandbox_transfers",
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("external_id", sa.Text, nullable=False),
        sa.Column("seller_id", sa.Uuid),
        sa.Column("amount_cents", sa.BigInteger, nullable=False),
        sa.Column("paid", sa.Boolean, nullable=False),
        sa.Column("calls", sa.Integer, nullable=False),
        first_migration.stamp("made_at"),
    )


def downgrade() -> None:
    op.drop_table("sandbox_transfers")
    op.drop_table("payouts")
    first_migration.uninstall()


def _create_payouts() -> None:
    op.create_table(
        "payouts",
        sa.Column("payout_id", sa.Uuid, primary_key=True),
        sa.Column("tenant_id", sa.Text, nullable=False),
        sa.Column("external_id", sa.Text, nullable=False),
        sa.Column("amount_cents", sa.BigInteger, nullable=False),
        sa.Column("seller_id", sa.Uuid),
        sa.Column("order_id", sa.Uuid, unique=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("bank_reference", sa.Text),
        sa.Column("reason", sa.Text),
        sa.Column("attempts", sa.Integer, nullable=False),
        sa.Column("claim", sa.Uuid),
        sa.Column("next_attempt", sa.DateTime(timezone=True)),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("sequence", sa.Integer, nullable=False),
        first_migration.stamp("created_at"),
        first_migration.stamp("updated_at"),
        sa.CheckConstraint("status IN ('PENDING', 'PAID', 'FAILED')", name="status"),
        sa.CheckConstraint("amount_cents > 0", name="amount"),
        sa.CheckConstraint(
            "(next_attempt IS NOT NULL) = (status = 'PENDING')", name="next_attempt"
        ),
    )
    _index("tenant_id", "external_id", unique=True)
    _index("tenant_id", "payout_id")
    _index("tenant_id", "seller_id", "payout_id")
    op.create_index(
        "ix_payouts_due",
        "payouts",
        ["next_attempt"],
        postgresql_where=sa.text("next_attempt IS NOT NULL"),
    )


def _index(*columns: str, unique: bool = False) -> None:
    op.create_index("_".join(["ix_payouts", *columns]), "payouts", list(columns), unique=unique)
