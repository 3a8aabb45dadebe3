"""A file that is handed in is stored sealed."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Old code still uses `content`. A file that new code has stored is empty to it: it refuses
    such a file, which may then be handed in again.
    """
    op.add_column("submissions", sa.Column("sealed_content", sa.LargeBinary))


def downgrade() -> None:
    op.drop_column("submissions", "sealed_content")
