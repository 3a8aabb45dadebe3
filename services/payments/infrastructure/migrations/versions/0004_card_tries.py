"""The table of payments counts the cards that the gateway has declined."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Old code neither reads nor writes the new column, and ends a payment at a decline."""
    op.add_column(
        "payments",
        sa.Column("declines", sa.Integer, nullable=False, server_default=sa.text("0")),
    )


def downgrade() -> None:
    op.drop_column("payments", "declines")
