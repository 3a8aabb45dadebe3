"""The words that a search compares are stored with the vehicle, without accents and capitals."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None

ACCENTED = "ÁÀÂÃÄÅÉÈÊËÍÌÎÏÓÒÔÕÖÚÙÛÜÇÑÝáàâãäåéèêëíìîïóòôõöúùûüçñýÿ"
PLAIN = "aaaaaaeeeeiiiiooooouuuucnyaaaaaaeeeeiiiiooooouuuucnyy"
WORDS = (
    "lower(translate(make || ' ' || model || ' ' || colour || ' ' || year::text,"
    f" '{ACCENTED}', '{PLAIN}'))"
)


def upgrade() -> None:
    """The database fills the column by itself, also in rows that old code writes."""
    op.add_column("vehicles", sa.Column("words", sa.Text, sa.Computed(WORDS, persisted=True)))


def downgrade() -> None:
    op.drop_column("vehicles", "words")
