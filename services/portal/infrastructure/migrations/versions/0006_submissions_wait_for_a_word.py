"""Submissions wait until their user starts them, and an error of a row has a code."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Old code writes neither the new status nor the new columns, and can read both."""
    _statuses("'READY', 'RUNNING', 'DONE', 'FAILED'")
    op.add_column("submission_errors", sa.Column("code", sa.Text))
    op.add_column("submission_errors", sa.Column("parameters", JSONB))


def downgrade() -> None:
    op.drop_column("submission_errors", "parameters")
    op.drop_column("submission_errors", "code")
    op.execute("DELETE FROM submissions WHERE status = 'READY'")
    _statuses("'RUNNING', 'DONE', 'FAILED'")


def _statuses(known: str) -> None:
    op.execute(
        "ALTER TABLE submissions DROP CONSTRAINT ck_submissions_status,"
        f" ADD CONSTRAINT ck_submissions_status CHECK (status IN ({known}))"
    )
