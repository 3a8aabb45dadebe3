"""Submissions take turns, pause after an interruption, and may be handed in again once finished."""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Old code neither reads nor writes the new columns, and their defaults serve it."""
    op.add_column(
        "submissions", sa.Column("attempts", sa.Integer, nullable=False, server_default="0")
    )
    op.add_column(
        "submissions",
        sa.Column(
            "due_at", sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now()
        ),
    )
    # New content is not compared with that of a finished submission.
    op.execute("UPDATE submissions SET digest = uuid_send(id) WHERE status = 'DONE'")


def downgrade() -> None:
    op.drop_column("submissions", "due_at")
    op.drop_column("submissions", "attempts")
