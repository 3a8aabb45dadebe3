"""The table of payouts says which ones need a person, and which a person has settled."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Old code neither reads nor writes the new columns, so its rows may lack their values."""
    op.add_column("payouts", sa.Column("settled_by", sa.Text))
    op.add_column("payouts", sa.Column("settlement_note", sa.Text))
    op.add_column(
        "payouts",
        sa.Column("needs_attention", sa.Boolean, nullable=False, server_default=sa.false()),
    )
    op.execute("UPDATE payouts SET needs_attention = true WHERE status = 'FAILED'")
    op.create_index(
        "ix_payouts_needs_attention",
        "payouts",
        ["tenant_id", "payout_id"],
        postgresql_where=sa.text("needs_attention"),
    )


def downgrade() -> None:
    op.drop_index("ix_payouts_needs_attention", "payouts")
    for column in ("needs_attention", "settlement_note", "settled_by"):
        op.drop_column("payouts", column)
