"""Operators find a purchase by its state, its last event, its vehicle and its price.

A migration is written out, because it says what it did on the day it was written.
"""

from alembic import op
from sqlalchemy import text

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

COLUMNS = """
ALTER TABLE subjects
    ADD COLUMN last_at timestamptz NOT NULL DEFAULT now(),
    ADD COLUMN stage smallint NOT NULL DEFAULT 0,
    ADD COLUMN turned_back boolean NOT NULL DEFAULT false,
    ADD COLUMN pays_until timestamptz,
    ADD COLUMN vehicle_id uuid,
    ADD COLUMN vehicle text,
    ADD COLUMN total_cents bigint
"""

# The values come from the existing timelines.
FILL = """
UPDATE subjects SET
    last_at = heard.last_at,
    stage = heard.stage,
    turned_back = heard.turned_back,
    pays_until = heard.pays_until::timestamptz,
    vehicle_id = heard.vehicle_id::uuid,
    vehicle = CASE WHEN kind = 'purchase' THEN heard.make || ' ' || heard.model END,
    total_cents = heard.total_cents::bigint
FROM (
    SELECT subject_id, max(occurred_at) AS last_at,
        max(CASE type WHEN 'credit.reserved.v1' THEN 1 WHEN 'vehicle.reserved.v1' THEN 2
            WHEN 'payment.code_generated.v1' THEN 3 WHEN 'payment.processed.v1' THEN 4
            ELSE 0 END) AS stage,
        bool_or(type IN (
            'credit.reservation_failed.v1', 'credit.released.v1', 'vehicle.reservation_failed.v1',
            'vehicle.sale_failed.v1', 'vehicle.released.v1', 'payment.code_generation_failed.v1',
            'payment.failed.v1', 'payment.expired.v1', 'payment.voided.v1', 'payment.refunded.v1',
            'order.cancellation_requested.v1')) AS turned_back,
        max(details ->> 'expires_at') AS pays_until,
        max(details ->> 'vehicle_id') AS vehicle_id,
        max(details ->> 'make') AS make, max(details ->> 'model') AS model,
        max(details ->> 'total_cents') AS total_cents
    FROM timeline GROUP BY subject_id
) AS heard WHERE heard.subject_id = subjects.id
"""

INDEXES = """
CREATE INDEX ix_subjects_vehicle ON subjects (vehicle_id) WHERE vehicle_id IS NOT NULL;
CREATE INDEX ix_subjects_unfinished ON subjects (tenant_id, id)
WHERE kind = 'purchase' AND (state IN ('OPEN', 'GIVEN_UP', 'COMPLETED')
    OR (state = 'CLOSED' AND NOT payout_heard))
"""


def upgrade() -> None:
    """Old code neither reads nor writes the new columns, and their defaults serve it."""
    for statement in (COLUMNS, FILL, *INDEXES.split(";")):
        op.execute(text(statement))


def downgrade() -> None:
    op.execute(text("DROP INDEX ix_subjects_unfinished"))
    op.execute(text("DROP INDEX ix_subjects_vehicle"))
    for column in (
        *("last_at", "stage", "turned_back", "pays_until"),
        *("vehicle_id", "vehicle", "total_cents"),
    ):
        op.drop_column("subjects", column)
