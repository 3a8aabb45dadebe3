"""This migration makes users, sessions, keys, audits, submissions, timelines and libraries' tables.

A migration is written out, because it says what it did on the day it was written. A test compares
it with the tables that the code uses.
"""

from alembic import op
from sqlalchemy import text

from libs.runtime import first_migration

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

TABLES = """
CREATE TABLE users (
    id uuid CONSTRAINT pk_users PRIMARY KEY,
    tenant_id text NOT NULL,
    name bytea NOT NULL,
    email bytea NOT NULL,
    email_index bytea NOT NULL CONSTRAINT uq_users_email_index UNIQUE,
    roles text[] NOT NULL,
    customer_id uuid,
    locale text NOT NULL,
    password_hash text NOT NULL,
    created_at timestamptz NOT NULL,
    CONSTRAINT ck_users_roles CHECK (
        cardinality(roles) > 0 AND roles <@ ARRAY['buyer', 'seller', 'operator', 'admin'])
);
CREATE INDEX ix_users_page ON users (tenant_id, id);
CREATE INDEX ix_users_customer ON users (customer_id) WHERE customer_id IS NOT NULL;

CREATE TABLE erased_customers (
    customer_id uuid CONSTRAINT pk_erased_customers PRIMARY KEY,
    erased_at timestamptz NOT NULL DEFAULT now()
);

CREATE TABLE sessions (
    id uuid CONSTRAINT pk_sessions PRIMARY KEY,
    token_hash bytea NOT NULL CONSTRAINT uq_sessions_token_hash UNIQUE,
    user_id uuid NOT NULL
        CONSTRAINT fk_sessions_user_id REFERENCES users (id) ON DELETE CASCADE,
    created_at timestamptz NOT NULL,
    last_seen_at timestamptz NOT NULL,
    expires_at timestamptz NOT NULL,
    device text NOT NULL
);
CREATE INDEX ix_sessions_user ON sessions (user_id);
CREATE INDEX ix_sessions_expires ON sessions (expires_at);

CREATE TABLE sign_in_attempts (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_sign_in_attempts PRIMARY KEY,
    account bytea NOT NULL,
    address bytea NOT NULL,
    at timestamptz NOT NULL DEFAULT now()
);
CREATE INDEX ix_sign_in_attempts_account ON sign_in_attempts (account, at);
CREATE INDEX ix_sign_in_attempts_address ON sign_in_attempts (address, at);

CREATE TABLE signing_keys (
    id uuid CONSTRAINT pk_signing_keys PRIMARY KEY,
    private_key bytea NOT NULL,
    public_jwk jsonb NOT NULL,
    signs_from timestamptz NOT NULL,
    retired_at timestamptz
);

CREATE TABLE audits (
    tenant_id text NOT NULL,
    sequence bigint NOT NULL,
    at timestamptz NOT NULL,
    id uuid NOT NULL,
    actor text NOT NULL,
    action text NOT NULL,
    target text NOT NULL,
    result text NOT NULL,
    details jsonb NOT NULL,
    previous_hash bytea NOT NULL,
    hash bytea NOT NULL,
    CONSTRAINT pk_audits PRIMARY KEY (tenant_id, sequence, at),
    CONSTRAINT ck_audits_result CHECK (result IN ('done', 'refused', 'failed'))
) PARTITION BY RANGE (at);
CREATE TABLE audits_default PARTITION OF audits DEFAULT;

CREATE TABLE audit_heads (
    tenant_id text CONSTRAINT pk_audit_heads PRIMARY KEY,
    sequence bigint NOT NULL,
    hash bytea NOT NULL
);

CREATE TABLE audit_anchors (
    tenant_id text CONSTRAINT pk_audit_anchors PRIMARY KEY,
    sequence bigint NOT NULL,
    hash bytea NOT NULL
);

CREATE TABLE submissions (
    id uuid CONSTRAINT pk_submissions PRIMARY KEY,
    tenant_id text NOT NULL,
    kind text NOT NULL,
    user_id uuid NOT NULL,
    name text NOT NULL,
    status text NOT NULL,
    total integer NOT NULL,
    succeeded integer NOT NULL,
    failed integer NOT NULL,
    reason text,
    digest bytea NOT NULL,
    content bytea,
    created_at timestamptz NOT NULL,
    finished_at timestamptz,
    CONSTRAINT ck_submissions_status CHECK (status IN ('RUNNING', 'DONE', 'FAILED')),
    CONSTRAINT ck_submissions_counts CHECK (succeeded >= 0 AND failed >= 0)
);
CREATE INDEX ix_submissions_page ON submissions (tenant_id, id);
CREATE UNIQUE INDEX uq_submissions_digest ON submissions (tenant_id, kind, digest)
    WHERE status <> 'FAILED';
CREATE INDEX ix_submissions_running ON submissions (kind, id) WHERE status = 'RUNNING';

CREATE TABLE submission_errors (
    id bigint GENERATED ALWAYS AS IDENTITY CONSTRAINT pk_submission_errors PRIMARY KEY,
    submission_id uuid NOT NULL
        CONSTRAINT fk_submission_errors_submission_id REFERENCES submissions (id),
    row integer NOT NULL,
    field text NOT NULL,
    reason text NOT NULL
);
CREATE INDEX ix_submission_errors_submission ON submission_errors (submission_id);

CREATE TABLE subjects (
    id uuid CONSTRAINT pk_subjects PRIMARY KEY,
    tenant_id text NOT NULL,
    kind text NOT NULL,
    customer_id uuid,
    seller_id uuid,
    state text NOT NULL,
    sequence integer NOT NULL,
    position integer NOT NULL,
    payout_heard boolean NOT NULL,
    started_at timestamptz NOT NULL
) WITH (fillfactor = 70);
CREATE INDEX ix_subjects_page ON subjects (tenant_id, kind, id);
CREATE INDEX ix_subjects_customer ON subjects (customer_id, id) WHERE customer_id IS NOT NULL;
CREATE INDEX ix_subjects_seller ON subjects (seller_id, id) WHERE kind = 'vehicle';

CREATE TABLE timeline (
    subject_id uuid NOT NULL,
    position integer NOT NULL,
    occurred_at timestamptz NOT NULL,
    event_id uuid NOT NULL,
    service text NOT NULL,
    type text NOT NULL,
    sequence integer NOT NULL,
    details jsonb NOT NULL,
    CONSTRAINT pk_timeline PRIMARY KEY (subject_id, position, occurred_at)
) PARTITION BY RANGE (occurred_at);
CREATE TABLE timeline_default PARTITION OF timeline DEFAULT;
"""

# By default the service's role has rights on every table that the owner makes. They are revoked
# where rows are only added, and from each partition, because a partition has a name of its own.
PROTECT = """
CREATE FUNCTION portal_protect(relation text, VARIADIC privileges text[]) RETURNS void
LANGUAGE plpgsql AS $$
DECLARE
    role text;
BEGIN
    FOR role IN
        SELECT DISTINCT CASE acl.grantee WHEN 0 THEN 'PUBLIC' ELSE quote_ident(r.rolname) END
        FROM pg_class c, aclexplode(c.relacl) AS acl LEFT JOIN pg_roles r ON r.oid = acl.grantee
        WHERE c.oid = to_regclass(relation) AND acl.grantee <> c.relowner
    LOOP
        EXECUTE format('REVOKE %s ON %s FROM %s',
            array_to_string(privileges, ', '), to_regclass(relation), role);
    END LOOP;
END $$
"""

MAINTAIN = """
CREATE FUNCTION portal_maintain_partitions(
    months_ahead integer, audit_months integer, timeline_months integer
) RETURNS void LANGUAGE plpgsql SECURITY DEFINER
SET search_path = pg_catalog, {schema}, pg_temp
SET lock_timeout = '2s'
SET TimeZone = 'UTC'
AS $$
DECLARE
    parent text; months integer; month date; part text;
    this date := date_trunc('month', now());
BEGIN
    IF NOT pg_try_advisory_xact_lock(hashtext('portal_maintain_partitions')) THEN
        RETURN;
    END IF;
    FOR parent, months IN VALUES ('audits', audit_months), ('timeline', timeline_months) LOOP
        FOR month IN SELECT this + make_interval(months => n)
            FROM generate_series(0, months_ahead) AS n
        LOOP
            part := format('%I.%I', {literal}, parent || to_char(month, '_YYYYMM'));
            IF to_regclass(part) IS NULL THEN
                EXECUTE format(
                    'CREATE TABLE %s PARTITION OF %I.%I FOR VALUES FROM (%L) TO (%L)',
                    part, {literal}, parent, month::timestamptz,
                    (month + interval '1 month')::timestamptz);
                IF parent = 'audits' THEN
                    PERFORM portal_protect(part, 'UPDATE', 'DELETE', 'TRUNCATE');
                END IF;
            END IF;
        END LOOP;
        FOR part, month IN
            SELECT format('%I.%I', {literal}, c.relname), to_date(right(c.relname, 6), 'YYYYMM')
            FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
            WHERE i.inhparent = to_regclass(format('%I.%I', {literal}, parent))
                AND c.relname ~ '_[0-9]{{6}}$'
            ORDER BY 2
        LOOP
            -- The service's role may call this: audits of the last year it cannot make go.
            IF month < this - make_interval(
                months => greatest(months, CASE parent WHEN 'audits' THEN 12 ELSE 1 END))
            THEN
                IF parent = 'audits' THEN
                    EXECUTE format(
                        'INSERT INTO audit_anchors AS a (tenant_id, sequence, hash)'
                        ' SELECT DISTINCT ON (tenant_id) tenant_id, sequence, hash FROM %s'
                        ' ORDER BY tenant_id, sequence DESC'
                        ' ON CONFLICT (tenant_id) DO UPDATE'
                        ' SET sequence = excluded.sequence, hash = excluded.hash', part);
                END IF;
                EXECUTE format('DROP TABLE %s', part);
            END IF;
        END LOOP;
    END LOOP;
END $$
"""


def upgrade() -> None:
    first_migration.install()
    first_migration.run(TABLES)
    schema, literal = (
        op.get_bind()
        .execute(text("SELECT quote_ident(current_schema()), quote_literal(current_schema())"))
        .one()
    )
    op.get_bind().exec_driver_sql(PROTECT)
    op.get_bind().exec_driver_sql(MAINTAIN.format(schema=schema, literal=literal))
    for table in ("audits", "audits_default"):
        op.execute(text(f"SELECT portal_protect('{table}', 'UPDATE', 'DELETE', 'TRUNCATE')"))
    op.execute(text("SELECT portal_protect('audit_heads', 'DELETE', 'TRUNCATE')"))
    op.execute(
        text("SELECT portal_protect('audit_anchors', 'INSERT', 'UPDATE', 'DELETE', 'TRUNCATE')")
    )
    op.execute(text("SELECT portal_maintain_partitions(2, 60, 24)"))


def downgrade() -> None:
    op.execute(text("DROP FUNCTION portal_maintain_partitions(integer, integer, integer)"))
    op.execute(text("DROP FUNCTION portal_protect"))
    for table in (
        "timeline",
        "subjects",
        "submission_errors",
        "submissions",
        "audit_anchors",
        "audit_heads",
        "audits",
        "signing_keys",
        "sign_in_attempts",
        "sessions",
        "erased_customers",
        "users",
    ):
        op.execute(text(f"DROP TABLE {table}"))
    first_migration.uninstall()
