"""The table of payments says which ones need a person, and which a person has settled."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Old code neither reads nor writes the new columns, so its rows may lack their values."""
    op.add_column("payments", sa.Column("charge_settled_by", sa.Text))
    op.add_column("payments", sa.Column("charge_settlement_note", sa.Text))
    op.add_column(
        "payments",
        sa.Column("needs_attention", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.execute("UPDATE payments SET needs_attention = true WHERE state = 'REFUND_FAILED'")
    op.create_index(
        "ix_payments_needs_attention",
        "payments",
        ["tenant_id", "payment_id"],
        postgresql_where=sa.text("needs_attention"),
    )


def downgrade() -> None:
    op.drop_index("ix_payments_needs_attention", "payments")
    for column in ("needs_attention", "charge_settlement_note", "charge_settled_by"):
        op.drop_column("payments", column)
