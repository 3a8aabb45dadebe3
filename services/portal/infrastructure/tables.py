"""These are the tables of the portal, beside those of the libraries."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKey,
    Identity,
    Index,
    Integer,
    LargeBinary,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import ARRAY, JSONB

from services.tables import service_tables

metadata, TABLES, IDEMPOTENCY = service_tables("portal")
NOW = text("now()")


def _instant(name: str, *, nullable: bool = False, default: bool = False) -> Column[object]:
    server_default = NOW if default else None
    return Column(name, DateTime(timezone=True), nullable=nullable, server_default=server_default)


users = Table(
    "users",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("name", LargeBinary, nullable=False),
    Column("email", LargeBinary, nullable=False),
    Column("email_index", LargeBinary, nullable=False, unique=True),
    Column("roles", ARRAY(Text), nullable=False),
    Column("customer_id", Uuid),
    Column("locale", Text, nullable=False),
    Column("password_hash", Text, nullable=False),
    Column("kept_hash", Text),
    Column("name_words", ARRAY(LargeBinary)),
    _instant("created_at"),
    CheckConstraint(
        "cardinality(roles) > 0 AND roles <@ ARRAY['buyer', 'seller', 'operator', 'admin']", "roles"
    ),
)
Index("ix_users_page", users.c.tenant_id, users.c.id)
Index("ix_users_name_words", users.c.name_words, postgresql_using="gin")
"""These are keyed digests of the words of the name; null until the service has made them."""
Index("ix_users_customer", users.c.customer_id, postgresql_where=users.c.customer_id.is_not(None))

erased_customers = Table(
    "erased_customers",
    metadata,
    Column("customer_id", Uuid, primary_key=True),
    _instant("erased_at", default=True),
)

sessions = Table(
    "sessions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("token_hash", LargeBinary, nullable=False, unique=True),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    _instant("created_at"),
    _instant("last_seen_at"),
    _instant("expires_at"),
    Column("device", Text, nullable=False),
)
Index("ix_sessions_user", sessions.c.user_id)
Index("ix_sessions_expires", sessions.c.expires_at)

sign_in_attempts = Table(
    "sign_in_attempts",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("account", LargeBinary, nullable=False),
    Column("address", LargeBinary, nullable=False),
    _instant("at", default=True),
)
Index("ix_sign_in_attempts_account", sign_in_attempts.c.account, sign_in_attempts.c.at)
Index("ix_sign_in_attempts_address", sign_in_attempts.c.address, sign_in_attempts.c.at)

sign_in_places = Table(
    "sign_in_places",
    metadata,
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), primary_key=True),
    Column("place", LargeBinary, primary_key=True),
    _instant("seen_at"),
)
"""A user has signed in from this browser or address, which is stored as a keyed digest."""

password_resets = Table(
    "password_resets",
    metadata,
    Column("token_hash", LargeBinary, primary_key=True),
    Column("user_id", Uuid, ForeignKey("users.id", ondelete="CASCADE"), nullable=False),
    _instant("expires_at"),
)
Index("ix_password_resets_user", password_resets.c.user_id)

signing_keys = Table(
    "signing_keys",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("private_key", LargeBinary, nullable=False),
    Column("public_jwk", JSONB, nullable=False),
    _instant("signs_from"),
    _instant("retired_at", nullable=True),
)

audits = Table(
    "audits",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("sequence", BigInteger, primary_key=True),
    Column("at", DateTime(timezone=True), primary_key=True),
    Column("id", Uuid, nullable=False),
    Column("actor", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("target", Text, nullable=False),
    Column("result", Text, nullable=False),
    Column("details", JSONB, nullable=False),
    Column("previous_hash", LargeBinary, nullable=False),
    Column("hash", LargeBinary, nullable=False),
    CheckConstraint("result IN ('done', 'refused', 'failed')", "result"),
    postgresql_partition_by="RANGE (at)",
)

audit_heads = Table(
    "audit_heads",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)
"""Each tenant's chain ends with this row, for which its writers wait."""

audit_anchors = Table(
    "audit_anchors",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    Column("sequence", BigInteger, nullable=False),
    Column("hash", LargeBinary, nullable=False),
)
"""This row is the last entry of the months that were dropped. Only their dropping writes it."""

check_requests = Table(
    "check_requests",
    metadata,
    Column("tenant_id", Text, primary_key=True),
    _instant("asked_at", default=True),
)
"""Operators of these tenants have requested a check of the invariants. The checker, a tool beside
the services, reads this table.
"""

submissions = Table(
    "submissions",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("user_id", Uuid, nullable=False),
    Column("name", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("total", Integer, nullable=False),
    Column("succeeded", Integer, nullable=False),
    Column("failed", Integer, nullable=False),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    _instant("due_at", default=True),
    Column("reason", Text),
    Column("digest", LargeBinary, nullable=False),
    Column("content", LargeBinary),
    Column("sealed_content", LargeBinary),
    _instant("created_at"),
    _instant("finished_at", nullable=True),
    CheckConstraint("status IN ('READY', 'RUNNING', 'DONE', 'FAILED')", "status"),
    CheckConstraint("succeeded >= 0 AND failed >= 0", "counts"),
)
"""`sealed_content` is the file, until all is done. Old releases wrote it to `content`."""
Index("ix_submissions_page", submissions.c.tenant_id, submissions.c.id)
Index(
    "uq_submissions_digest",
    submissions.c.tenant_id,
    submissions.c.kind,
    submissions.c.digest,
    unique=True,
    postgresql_where=text("status <> 'FAILED'"),
)
Index(
    "ix_submissions_running",
    submissions.c.kind,
    submissions.c.id,
    postgresql_where=text("status = 'RUNNING'"),
)

submission_errors = Table(
    "submission_errors",
    metadata,
    Column("id", BigInteger, Identity(always=True), primary_key=True),
    Column("submission_id", Uuid, ForeignKey("submissions.id"), nullable=False),
    Column("row", Integer, nullable=False),
    Column("field", Text, nullable=False),
    Column("reason", Text, nullable=False),
    Column("code", Text),
    Column("parameters", JSONB),
)
"""`reason` is in English. Errors of old releases have no code."""
Index("ix_submission_errors_submission", submission_errors.c.submission_id)

subjects = Table(
    "subjects",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("tenant_id", Text, nullable=False),
    Column("kind", Text, nullable=False),
    Column("customer_id", Uuid),
    Column("seller_id", Uuid),
    Column("state", Text, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("position", Integer, nullable=False),
    Column("payout_heard", Boolean, nullable=False),
    _instant("started_at"),
    _instant("last_at", default=True),
    Column("stage", SmallInteger, nullable=False, server_default=text("0")),
    Column("turned_back", Boolean, nullable=False, server_default=text("false")),
    _instant("pays_until", nullable=True),
    Column("vehicle_id", Uuid),
    Column("vehicle", Text),
    Column("total_cents", BigInteger),
)
"""A row is the subject of a timeline. `sequence` is that of the event that gave the state. The last
seven columns are for operators' lists of purchases; `domain/timeline.py` explains them.
"""
UNFINISHED = (
    "kind = 'purchase' AND (state IN ('OPEN', 'GIVEN_UP', 'COMPLETED')"
    " OR (state = 'CLOSED' AND NOT payout_heard))"
)
Index("ix_subjects_page", subjects.c.tenant_id, subjects.c.kind, subjects.c.id)
Index(
    "ix_subjects_customer",
    subjects.c.customer_id,
    subjects.c.id,
    postgresql_where=subjects.c.customer_id.is_not(None),
)
Index(
    "ix_subjects_seller",
    subjects.c.seller_id,
    subjects.c.id,
    postgresql_where=subjects.c.kind == "purchase",
)

Index(
    "ix_subjects_vehicle",
    subjects.c.vehicle_id,
    postgresql_where=subjects.c.vehicle_id.is_not(None),
)
Index(
    "ix_subjects_unfinished",
    subjects.c.tenant_id,
    subjects.c.id,
    postgresql_where=text(UNFINISHED),
)

timeline = Table(
    "timeline",
    metadata,
    Column("subject_id", Uuid, primary_key=True),
    Column("position", Integer, primary_key=True),
    Column("occurred_at", DateTime(timezone=True), primary_key=True),
    Column("event_id", Uuid, nullable=False),
    Column("service", Text, nullable=False),
    Column("type", Text, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("details", JSONB, nullable=False),
    postgresql_partition_by="RANGE (occurred_at)",
)
