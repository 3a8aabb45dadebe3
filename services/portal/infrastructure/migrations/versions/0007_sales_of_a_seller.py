"""The index of a seller's vehicles now finds a seller's sales."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Old code finds a seller's vehicles without the index, more slowly."""
    _index_of("purchase")


def downgrade() -> None:
    _index_of("vehicle")


def _index_of(kind: str) -> None:
    op.drop_index("ix_subjects_seller", "subjects")
    op.create_index(
        "ix_subjects_seller",
        "subjects",
        ["seller_id", "id"],
        postgresql_where=sa.text(f"kind = '{kind}'"),
    )
