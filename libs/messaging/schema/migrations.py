"""These functions are the library's part of a service's Alembic migrations, one for each version.

    def upgrade() -> None:      # a new service, in its first migration
        install(op)             # version 1
        upgrade(op)             # version 2

A service that has called `install` in an earlier migration calls `upgrade(op, source="orders")`
in a new one. What a version does never changes. A test compares the newest with `tables`.
"""

from alembic.operations import Operations
from sqlalchemy import Column, Text, text

_TABLES = (
    """
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
) WITH (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0)
    """,
    "CREATE INDEX outbox_subject_seq ON outbox (subject, seq)",
    "CREATE INDEX outbox_fresh ON outbox (seq) WHERE attempts = 0 AND due_at < 'infinity'",
    "CREATE INDEX outbox_failing ON outbox (due_at) WHERE attempts > 0",
    "CREATE INDEX outbox_parked ON outbox (seq) WHERE attempts = 0 AND due_at = 'infinity'",
    """
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
) PARTITION BY RANGE (created_at)
    """,
    "CREATE TABLE outbox_archive_default PARTITION OF outbox_archive DEFAULT",
    """
CREATE TABLE inbox (
    message_id uuid NOT NULL,
    consumer text NOT NULL,
    made_at timestamptz NOT NULL,
    payload_hash bytea NOT NULL,
    handled_at timestamptz NOT NULL DEFAULT now(),
    CONSTRAINT pk_inbox PRIMARY KEY (message_id, consumer, made_at)
) PARTITION BY RANGE (made_at)
    """,
    "CREATE TABLE inbox_default PARTITION OF inbox DEFAULT",
)

# The default partitions take the rows of days that no partition was made for.
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


# Version 2 makes each day by itself, so that one that cannot be made keeps no other from it,
# and moves rows from the default partition into the day they belong to. This function makes one
# partition, and says whether it did; a service may call it for partitioned tables of its own.
_MAKE_PARTITION = """
CREATE FUNCTION messaging_make_partition(
    parent text, key text, part text, starts timestamptz, ends timestamptz
) RETURNS boolean LANGUAGE plpgsql
SET search_path = pg_catalog, {schema}, pg_temp
AS $$
DECLARE
    -- With more rows than this in the default partition they stay there, because nobody can use
    -- the table while rows move.
    most_moved CONSTANT integer := 20000;
    spare text := format('%I.%I', {literal}, parent || '_default');
    made text := format('%I.%I', {literal}, part);
    bounds text := format('%1$I >= %2$L AND %1$I < %3$L', key, starts, ends);
    attach text := format('ALTER TABLE %I.%I ATTACH PARTITION %s FOR VALUES FROM (%L) TO (%L)',
        {literal}, parent, made, starts, ends);
    found integer;
BEGIN
    IF to_regclass(made) IS NOT NULL THEN
        RETURN false;
    END IF;
    EXECUTE format('SELECT count(*) FROM (SELECT FROM %s WHERE %s LIMIT %s) AS rows',
        spare, bounds, most_moved + 1) INTO found;
    IF found > most_moved THEN
        RETURN false;
    END IF;
    -- The whole table before anything of it changes: a row that moves is never missing for others,
    -- and nobody can wait for it while this waits for them.
    EXECUTE format('LOCK TABLE ONLY %I.%I IN ACCESS EXCLUSIVE MODE', {literal}, parent);
    EXECUTE format('CREATE TABLE %s (LIKE %I.%I INCLUDING ALL)', made, {literal}, parent);
    BEGIN
        EXECUTE attach;
    EXCEPTION WHEN check_violation THEN
        EXECUTE format('WITH moved AS (DELETE FROM %s WHERE %s RETURNING *)'
            ' INSERT INTO %s TABLE moved', spare, bounds, made);
        EXECUTE attach;
    END;
    RETURN true;
END $$
"""

_MAINTAIN_2 = """
CREATE FUNCTION messaging_maintain_partitions(
    days_ahead integer, archive_days integer, inbox_days integer
) RETURNS SETOF text LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, {schema}, pg_temp
SET lock_timeout = '2s'
SET TimeZone = 'UTC'
AS $$
DECLARE
    most_deleted CONSTANT integer := 100000;
    parent text; key text; days integer; day date; part text; old text;
BEGIN
    IF (days_ahead BETWEEN -1 AND 31 AND archive_days BETWEEN 0 AND 3650
        AND inbox_days BETWEEN 1 AND 3650) IS NOT TRUE
    THEN
        RAISE 'partitions are made -1 to 31 days ahead; an archive is kept 0 to 3650 days,'
            ' an inbox 1 to 3650' USING ERRCODE = 'invalid_parameter_value';
    END IF;
    IF NOT pg_try_advisory_xact_lock(hashtext({literal} || '.messaging_maintain_partitions')) THEN
        RETURN;
    END IF;
    FOR parent, key, days IN VALUES
        ('outbox_archive', 'created_at', archive_days), ('inbox', 'made_at', inbox_days)
    LOOP
        -- First, because it takes longest and needs no lock that keeps others away.
        BEGIN
            EXECUTE format(
                'DELETE FROM %1$I.%2$I WHERE ctid = ANY (ARRAY('
                'SELECT ctid FROM %1$I.%2$I WHERE %3$I < $1 LIMIT $2))',
                {literal}, parent || '_default', key)
                USING now() - make_interval(days => days), most_deleted;
        EXCEPTION WHEN OTHERS THEN
            RETURN NEXT format('old rows stay in %s_default: %s', parent, SQLERRM);
        END;
        FOR day IN SELECT current_date + n FROM generate_series(-1, days_ahead) AS n LOOP
            part := parent || to_char(day, '_YYYYMMDD');
            BEGIN
                PERFORM messaging_make_partition(parent, key, part, day, day + 1);
            EXCEPTION
                WHEN lock_not_available THEN
                    RAISE;  -- the next day would keep others waiting for two seconds again
                WHEN OTHERS THEN
                    RETURN NEXT format('%s was not made: %s', part, SQLERRM);
            END;
        END LOOP;
        FOR old IN
            SELECT c.relname FROM pg_inherits i
            JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = to_regclass(format('%I.%I', {literal}, parent))
                AND c.relname ~ '_[0-9]{{8}}$'
                -- Yesterday stays in any case: a transaction of then may still be open.
                -- Compared as text: a TOAST table may be looked at too, and its number is no date.
                AND right(c.relname, 8) < to_char(current_date - greatest(days, 1), 'YYYYMMDD')
            ORDER BY 1
        LOOP
            BEGIN
                EXECUTE format('DROP TABLE %I.%I', {literal}, old);
            EXCEPTION
                WHEN lock_not_available THEN
                    RAISE;
                WHEN OTHERS THEN
                    RETURN NEXT format('%s was not dropped: %s', old, SQLERRM);
            END;
        END LOOP;
    END LOOP;
END $$
"""

_REVOKE_FROM_PUBLIC = """
REVOKE ALL ON FUNCTION messaging_maintain_partitions(integer, integer, integer) FROM PUBLIC
"""

_GRANT_TO_WRITERS = """
DO $$
DECLARE
    writer regrole;
BEGIN
    FOR writer IN
        SELECT DISTINCT acl.grantee FROM pg_class c, aclexplode(c.relacl) AS acl
        WHERE c.oid = 'inbox'::regclass AND acl.privilege_type = 'DELETE' AND acl.grantee <> 0
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION'
            ' messaging_maintain_partitions(integer, integer, integer) TO %s', writer);
    END LOOP;
END $$
"""


def install(op: Operations) -> None:
    """Create version 1: outbox, archive, inbox, their first partitions and the function that keeps
    them. Call `upgrade` after it.

    Run it as the owner of the tables: the function acts with that role's rights.
    """
    for statement in _TABLES:
        op.execute(text(statement))
    create_function(op, _MAINTAIN)
    op.execute(text("SELECT messaging_maintain_partitions(7, 1, 1)"))


def upgrade(op: Operations, *, source: str | None = None) -> None:
    """Change version 1 to version 2, while the previous release goes on using the tables.

    Each row of the outbox names its `source`, the service that publishes it. `source` is the
    column's default: rows that are there belong to it, and so does what the previous release
    writes. Leave it out only right after `install`. Pass the same to `messaging_tables`.

    The upkeep of the partitions is open to the roles that may delete from `inbox`, no longer to
    PUBLIC: a role that gets its rights later needs EXECUTE on `messaging_maintain_partitions`.
    """
    op.add_column("outbox", Column("source", Text, nullable=False, server_default=source))
    _drop_maintenance(op)
    create_function(op, _MAKE_PARTITION)
    create_function(op, _MAINTAIN_2)
    op.execute(text(_REVOKE_FROM_PUBLIC))
    op.get_bind().exec_driver_sql(_GRANT_TO_WRITERS)


def downgrade(op: Operations) -> None:
    """Change version 2 back to version 1."""
    _drop_maintenance(op)
    create_function(op, _MAINTAIN)
    op.drop_column("outbox", "source")


def uninstall(op: Operations) -> None:
    """Drop everything `install` and `upgrade` made, with what is in it."""
    _drop_maintenance(op)
    for table in ("inbox", "outbox_archive", "outbox"):
        op.execute(text(f"DROP TABLE {table}"))


def create_function(op: Operations, function: str) -> None:
    """Run `function`, in which {schema} and {literal} are the name of the current schema: as an
    identifier, and as a string.
    """
    schema, literal = (
        op.get_bind()
        .execute(text("SELECT quote_ident(current_schema()), quote_literal(current_schema())"))
        .one()
    )
    op.get_bind().exec_driver_sql(function.format(schema=schema, literal=literal))


def _drop_maintenance(op: Operations) -> None:
    op.execute(text("DROP FUNCTION messaging_maintain_partitions"))
    op.execute(text("DROP FUNCTION IF EXISTS messaging_make_partition"))
