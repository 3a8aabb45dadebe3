"""The library's part of a service's first Alembic migration.

Written out rather than taken from `tables`: a migration says what it did on the day it was written.
A test compares the two.
"""

from alembic.operations import Operations
from sqlalchemy import text

_TABLES = """
CREATE TABLE outbox (
    seq bigint GENERATED ALWAYS AS IDENTITY,
    id uuid NOT NULL,
    subject text COLLATE "C" NOT NULL,
    type text NOT NULL,
    body bytea NOT NULL,
    traceparent text,
    created_at timestamptz NOT NULL DEFAULT now(),
    due_at timestamptz NOT NULL DEFAULT now(),
    attempts smallint NOT NULL DEFAULT 0,
    error text,
    CONSTRAINT pk_outbox PRIMARY KEY (seq)
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
CREATE INDEX outbox_subject_seq ON outbox (subject, seq);
CREATE INDEX outbox_fresh ON outbox (seq) WHERE attempts = 0 AND due_at < 'infinity';
CREATE INDEX outbox_failing ON outbox (due_at) WHERE attempts > 0;
CREATE INDEX outbox_parked ON outbox (seq) WHERE attempts = 0 AND due_at = 'infinity';

CREATE TABLE outbox_archive (
    seq bigint NOT NULL,
    id uuid NOT NULL,
    subject text COLLATE "C" NOT NULL,
    type text NOT NULL,
    body bytea NOT NULL,
    traceparent text,
    created_at timestamptz NOT NULL,
    published_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_outbox_archive PRIMARY KEY (seq, created_at)
) PARTITION BY RANGE (created_at);
CREATE TABLE outbox_archive_default PARTITION OF outbox_archive DEFAULT;

CREATE TABLE inbox (
    message_id uuid NOT NULL,
    consumer text NOT NULL,
    made_at timestamptz NOT NULL,
    payload_hash bytea NOT NULL,
    handled_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_inbox PRIMARY KEY (message_id, consumer, made_at)
) PARTITION BY RANGE (made_at);
CREATE TABLE inbox_default PARTITION OF inbox DEFAULT;
"""

# The default partitions catch what no day has been made for, so that nothing is ever refused;
# made a week ahead, the days leave them empty.
_MAINTAIN = """
CREATE FUNCTION messaging_maintain_partitions(
    days_ahead integer, archive_days integer, inbox_days integer
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, {schema}, pg_temp
SET lock_timeout = '2s'
SET TimeZone = 'UTC'
AS $$
DECLARE
    parent text; days integer; day date; old text; stamp text;
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('messaging_maintain_partitions')) THEN
        RETURN;
    END IF;
    FOR parent, days IN VALUES ('outbox_archive', archive_days), ('inbox', inbox_days) LOOP
        FOR day IN SELECT current_date + n FROM generate_series(-1, days_ahead) AS n LOOP
            IF to_regclass(format('%I.%I', {literal}, parent || to_char(day, '_YYYYMMDD'))) IS NULL
            THEN
                EXECUTE format(
                    'CREATE TABLE %I.%I PARTITION OF %I.%I FOR VALUES FROM (%L) TO (%L)',
                    {literal}, parent || to_char(day, '_YYYYMMDD'), {literal}, parent,
                    day::timestamptz, (day + 1)::timestamptz);
            END IF;
        END LOOP;
        FOR old, stamp IN
            SELECT c.relname, right(c.relname, 8) FROM pg_inherits i
            JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = to_regclass(format('%I.%I', {literal}, parent))
                AND c.relname ~ '_[0-9]{{8}}$'
        LOOP
            -- Yesterday stays in any case: a transaction of then may still be open.
            IF to_date(stamp, 'YYYYMMDD') < current_date - greatest(days, 1) THEN
                EXECUTE format('DROP TABLE %I.%I', {literal}, old);
            END IF;
        END LOOP;
    END LOOP;
    DELETE FROM outbox_archive_default
    WHERE created_at < now() - make_interval(days => archive_days);
    DELETE FROM inbox_default WHERE made_at < now() - make_interval(days => inbox_days);
END $$
"""


def install(op: Operations) -> None:
    """Create outbox, archive, inbox, their first partitions and the function that keeps them.

    Run it as the owner of the tables: the function acts with that role's rights.
    """
    for statement in _TABLES.split(";\n"):
        if statement.strip():
            op.execute(text(statement))
    schema, literal = (
        op.get_bind()
        .execute(text("SELECT quote_ident(current_schema()), quote_literal(current_schema())"))
        .one()
    )
    op.get_bind().exec_driver_sql(_MAINTAIN.format(schema=schema, literal=literal))
    op.execute(text("SELECT messaging_maintain_partitions(7, 1, 1)"))


def uninstall(op: Operations) -> None:
    """Drop everything `install` made, with what is in it."""
    op.execute(text("DROP FUNCTION messaging_maintain_partitions(integer, integer, integer)"))
    for table in ("inbox", "outbox_archive", "outbox"):
        op.execute(text(f"DROP TABLE {table}"))
