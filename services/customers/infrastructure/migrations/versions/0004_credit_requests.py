"""A customer may ask for a higher credit limit."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Old code neither reads nor writes the new columns, so a request stays as it is."""
    op.add_column("customers", sa.Column("wanted_limit_cents", sa.BigInteger))
    op.add_column("customers", sa.Column("credit_asked_at", sa.DateTime(timezone=True)))
    op.add_column("customers", sa.Column("credit_declined_at", sa.DateTime(timezone=True)))
    op.create_index(
        "ix_customers_credit_requests",
        "customers",
        ["tenant_id", "credit_asked_at", "id"],
        postgresql_where=sa.text("credit_asked_at IS NOT NULL AND credit_declined_at IS NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_customers_credit_requests", "customers")
    for column in ("credit_declined_at", "credit_asked_at", "wanted_limit_cents"):
        op.drop_column("customers", column)
