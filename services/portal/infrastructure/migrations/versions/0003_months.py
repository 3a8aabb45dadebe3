"""A missing month is made, and rows move from the default partition into their month."""

from importlib import import_module

from alembic import op
from alembic.operations import Operations
from sqlalchemy import text

from libs.messaging.schema.migrations import create_function

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

FIRST = import_module("services.portal.infrastructure.migrations.versions.0001_initial")

# Old rows of a default partition are deleted like those of a month that is dropped.
MAINTAIN = """
CREATE FUNCTION portal_maintain_partitions(
    months_ahead integer, audit_months integer, timeline_months integer
) RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, {schema}, pg_temp
SET lock_timeout = '2s'
SET TimeZone = 'UTC'
AS $$
DECLARE
    parent text; key text; months integer; month date; part text; since date;
    this date := date_trunc('month', now());
    keep_anchors CONSTANT text :=
        'INSERT INTO audit_anchors AS a (tenant_id, sequence, hash)'
        ' SELECT DISTINCT ON (tenant_id) tenant_id, sequence, hash FROM %s WHERE at < %L'
        ' ORDER BY tenant_id, sequence DESC'
        ' ON CONFLICT (tenant_id) DO UPDATE'
        ' SET sequence = excluded.sequence, hash = excluded.hash'
        ' WHERE a.sequence < excluded.sequence';
BEGIN
    IF (months_ahead BETWEEN 0 AND 24 AND audit_months >= 0 AND timeline_months >= 0) IS NOT TRUE
    THEN
        RAISE 'partitions are made 0 to 24 months ahead, and kept for 0 months or more'
            USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtext('portal_maintain_partitions')) THEN
        RETURN;
    END IF;
    FOR parent, key, months IN VALUES
        ('audits', 'at', greatest(audit_months, 12)),  -- the service's role may call this
        ('timeline', 'occurred_at', greatest(timeline_months, 1))
    LOOP
        since := this - make_interval(months => months);
        BEGIN
            part := format('%I.%I', {literal}, parent || '_default');
            IF parent = 'audits' THEN
                EXECUTE format(keep_anchors, part, since::timestamptz);
            END IF;
            EXECUTE format('DELETE FROM %s WHERE %I < %L', part, key, since::timestamptz);
        EXCEPTION WHEN OTHERS THEN
            RETURN NEXT format('old rows stay in %s: %s', part, SQLERRM);
        END;
        FOR month IN SELECT this + make_interval(months => n)
            FROM generate_series(0, months_ahead) AS n
        LOOP
            part := parent || to_char(month, '_YYYYMM');
            BEGIN
                IF messaging_make_partition(
                    parent, key, part, month, (month + interval '1 month')::timestamptz)
                    AND parent = 'audits'
                THEN
                    PERFORM portal_protect(
                        format('%I.%I', {literal}, part), 'UPDATE', 'DELETE', 'TRUNCATE');
                END IF;
            EXCEPTION
                WHEN lock_not_available THEN
                    RAISE;
                WHEN OTHERS THEN
                    RETURN NEXT format('%s was not made: %s', part, SQLERRM);
            END;
        END LOOP;
        FOR part IN
            SELECT format('%I.%I', {literal}, c.relname)
            FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = to_regclass(format('%I.%I', {literal}, parent))
                AND c.relname ~ '_[0-9]{{6}}$'
                -- Compared as text: a TOAST table may be looked at too, and its number is no date.
                AND right(c.relname, 6) < to_char(since, 'YYYYMM')
            ORDER BY c.relname
        LOOP
            BEGIN
                IF parent = 'audits' THEN
                    EXECUTE format(keep_anchors, part, 'infinity');
                END IF;
                EXECUTE format('DROP TABLE %s', part);
            EXCEPTION
                WHEN lock_not_available THEN
                    RAISE;
                WHEN OTHERS THEN
                    RETURN NEXT format('%s was not dropped: %s', part, SQLERRM);
            END;
        END LOOP;
    END LOOP;
END $$
"""


def upgrade() -> None:
    _replace(MAINTAIN)
    op.execute(text("REVOKE ALL ON FUNCTION portal_maintain_partitions FROM PUBLIC"))


def downgrade() -> None:
    _replace(FIRST.MAINTAIN)


def _replace(function: str) -> None:
    op.execute(text("DROP FUNCTION portal_maintain_partitions"))
    create_function(Operations(op.get_context()), function)
