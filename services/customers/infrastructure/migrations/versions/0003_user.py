"""A customer record names the user whose own it is."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

WHO_REGISTERED_HIMSELF = """
    UPDATE customers SET user_id = substr(key, 10)::uuid
      FROM idempotency_keys AS own
     WHERE own.tenant_id = customers.tenant_id AND location = '/customers/' || customers.id
       AND key ~ '^customer:[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$'
       AND subject IN ('anonymous', substr(key, 10)) AND erased_at IS NULL"""


def upgrade() -> None:
    """Old code neither reads nor writes the new column. Its idempotency keys of the last day say
    who registered the own record, which helps a user whose answer was lost.
    """
    op.add_column("customers", sa.Column("user_id", sa.Uuid))
    op.create_index(
        "uq_customers_user",
        "customers",
        ["tenant_id", "user_id"],
        unique=True,
        postgresql_where=sa.text("user_id IS NOT NULL"),
    )
    op.execute(WHO_REGISTERED_HIMSELF)


def downgrade() -> None:
    op.drop_index("uq_customers_user", "customers")
    op.drop_column("customers", "user_id")
