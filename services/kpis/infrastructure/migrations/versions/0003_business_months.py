"""Months are those of the business's time zone, and shipped KPIs name amounts instead of cents.

A migration is written out, because it says what it did on the day it was written.
"""

from alembic import op
from sqlalchemy import text

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

MONTHS = (
    ("purchases", "sold_at", "sold_month"),
    ("purchases", "ended_at", "ended_month"),
    ("payouts", "due_at", "due_month"),
    ("vehicles", "listed_at", "listed_month"),
    ("customers", "registered_at", "registered_month"),
)
DESCRIBED = text(
    "UPDATE kpis SET description = :description WHERE tenant_id = '' AND id = 'monthly_sales'"
)


def upgrade() -> None:
    """With another BUSINESS_TIME_ZONE than the default, run `services.kpis.rebuild` afterwards."""
    _months_of("America/Sao_Paulo")
    _described("The total of the month's sales.")


def downgrade() -> None:
    _months_of("UTC")
    _described("The total of the month's sales, in cents.")


def _described(description: str) -> None:
    op.get_bind().execute(DESCRIBED, {"description": description})


def _months_of(zone: str) -> None:
    for table, instant, month in MONTHS:
        op.execute(
            text(
                f"UPDATE {table} SET {month} ="  # noqa: S608  # names of ours
                f" to_char({instant} AT TIME ZONE '{zone}', 'YYYY-MM')"
                f" WHERE {instant} IS NOT NULL"
            )
        )
