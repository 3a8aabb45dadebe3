"""An index finds vehicles by their plate also after they are sold or withdrawn."""

from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("vehicles_by_plate", "vehicles", ["plate_index"])


def downgrade() -> None:
    op.drop_index("vehicles_by_plate", "vehicles")
