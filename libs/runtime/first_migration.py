"""Every service's first migration makes these tables beside the service's own. This file never
changes.
"""

import sqlalchemy as sa
from alembic import op
from alembic.operations import Operations

from libs.messaging.schema import migrations as messaging


def install() -> None:
    """Create version 1 of the messaging library's tables, and the table of idempotency keys."""
    messaging.install(Operations(op.get_context()))
    op.create_table(
        "idempotency_keys",
        sa.Column("tenant_id", sa.Text, primary_key=True),
        sa.Column("subject", sa.Text, primary_key=True),
        sa.Column("key", sa.Text, primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("status", sa.SmallInteger, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("etag", sa.Text),
        sa.Column("location", sa.Text),
        stamp("created_at"),
    )
    op.create_index("idempotency_keys_created_at", "idempotency_keys", ["created_at"])


def uninstall() -> None:
    """Drop what `install` made."""
    op.drop_table("idempotency_keys")
    messaging.uninstall(Operations(op.get_context()))


def stamp(name: str) -> sa.Column[object]:
    """Return a column of the time at which its row is added."""
    return sa.Column(name, sa.DateTime(timezone=True), nullable=False, server_default=sa.func.now())


def run(*scripts: str) -> None:
    """Run statements of SQL, each ended by a semicolon at the end of its line."""
    for script in scripts:
        for statement in script.split(";\n"):
            if statement.strip():
                op.execute(sa.text(statement))
