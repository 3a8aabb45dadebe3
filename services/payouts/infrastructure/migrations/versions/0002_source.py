"""In version 2 of the messaging library's tables each row of the outbox names its source."""

from alembic import op
from alembic.operations import Operations

from libs.messaging.schema import migrations as messaging

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    messaging.upgrade(Operations(op.get_context()), source="payouts")


def downgrade() -> None:
    messaging.downgrade(Operations(op.get_context()))
