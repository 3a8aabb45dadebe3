"""Users are found by the words of their names, and get their password back when enabled again."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Old code neither reads nor writes the new columns. The service fills `name_words`."""
    op.add_column("users", sa.Column("name_words", postgresql.ARRAY(sa.LargeBinary)))
    op.add_column("users", sa.Column("kept_hash", sa.Text))
    op.create_index("ix_users_name_words", "users", ["name_words"], postgresql_using="gin")


def downgrade() -> None:
    op.drop_index("ix_users_name_words", "users")
    op.drop_column("users", "kept_hash")
    op.drop_column("users", "name_words")
