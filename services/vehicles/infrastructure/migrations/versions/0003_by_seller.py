"""An index finds a seller's vehicles without reading those of all others."""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_index("vehicles_by_seller", "vehicles", ["tenant_id", "seller_id", "id"])


def downgrade() -> None:
    op.drop_index("vehicles_by_seller", "vehicles")
