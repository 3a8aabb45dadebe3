"""A claim locks rows; settling deletes what was delivered and notes what failed. One transaction
spans both.

A claim locks heads only, and takes with each the rows that follow it. Rows of one subject commit in
the order of `seq`, because writers hold the lock of the aggregate; that is why what a claim sees of
a subject has no gaps.

A claim is bounded: in the rows it looks through, in the rows it takes and in their bytes. When the
rows it looks through hold few heads, the next claim goes on behind them, and what was in the way is
parked while the batch is published.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from libs.messaging.database import Connection
from libs.messaging.relay.archive import DELETE, DELIVER_TO_ARCHIVE
from libs.messaging.relay.rows import (
    FAILING,
    FRESH,
    HEAD,
    OF_SUBJECT,
    begin,
    heads_among,
)

PARKED_AT_ONCE = 10_000
"""At most this many fresh rows are looked through to find some to park."""

_ROWS = OF_SUBJECT.format(
    columns="each.seq, each.id, each.subject, each.type, each.body, each.traceparent,"
    " each.created_at < (SELECT now() - $8::interval) AS expired",
    first="row.seq",
    limit="(SELECT rows FROM share)",
)

CLAIM = f"""
WITH {heads_among(FRESH, limit="$3")}, fresh_heads AS MATERIALIZED (
    SELECT ctid, seq = nearest AS is_near FROM heads WHERE {FRESH}
), fresh AS MATERIALIZED (
    SELECT outbox.seq, outbox.subject, outbox.attempts
    FROM fresh_heads JOIN outbox ON outbox.ctid = fresh_heads.ctid
    WHERE {FRESH} FOR UPDATE OF outbox SKIP LOCKED
), failing AS MATERIALIZED (
    SELECT seq, subject, attempts FROM outbox
    WHERE {FAILING} AND due_at <= now() AND source = $1
    ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED
), head AS (TABLE failing UNION ALL TABLE fresh
), share AS MATERIALIZED (
    SELECT greatest(1, least($5, $6 / greatest(1, count(*)))) AS rows FROM head
), taken AS (
    SELECT row.seq AS head, row.attempts, of_subject.*,
        sum(octet_length(body)) OVER (ROWS UNBOUNDED PRECEDING) - octet_length(body) AS before
    FROM head AS row CROSS JOIN LATERAL ({_ROWS}) AS of_subject
)
SELECT head, attempts, seq, id, subject, type, body, traceparent, expired, NULL::bigint[]
FROM taken WHERE before < $7
UNION ALL SELECT NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, ARRAY[
    CASE WHEN count(*) = $3 THEN max(seq) + 1 END,
    count(*) - (SELECT count(*) FROM fresh_heads WHERE is_near),
    (SELECT rows FROM share)]
FROM near
"""  # noqa: S608 - constants
# The sum runs in the order in which the rows come: subject by subject, each in the order of `seq`.

FAIL = """
UPDATE outbox SET attempts = least(attempts + 1, 32000), error = failure.error,
    due_at = CASE WHEN failure.delay IS NULL THEN 'infinity'
        ELSE clock_timestamp() + failure.delay END
FROM unnest($1::bigint[], $2::text[], $3::interval[]) AS failure (seq, error, delay)
WHERE outbox.seq = failure.seq
"""

_SUBJECTS = "unnest($2::text[]) AS row (subject)"

LET_NEXT_GO = f"""
WITH next AS MATERIALIZED (
    SELECT head.* FROM {_SUBJECTS} CROSS JOIN LATERAL ({HEAD}) AS head
), unparked AS (
    UPDATE outbox SET due_at = now() FROM next
    WHERE outbox.seq = next.seq AND next.attempts = 0 AND next.due_at = 'infinity'
)
SELECT seq, attempts FROM next
"""  # noqa: S608 - constants

WAITING = f"""
SELECT subject, seq FROM outbox
WHERE {FRESH} AND source = $1 AND seq >= $2 ORDER BY seq LIMIT $3
"""  # noqa: S608 - constants

LOCK_FAILING = f"""
SELECT outbox.subject, outbox.seq
FROM {_SUBJECTS} CROSS JOIN LATERAL ({HEAD}) AS head JOIN outbox ON outbox.ctid = head.ctid
WHERE head.attempts > 0 AND outbox.attempts > 0 FOR UPDATE OF outbox SKIP LOCKED
"""  # noqa: S608 - constants

PARK = f"UPDATE outbox SET due_at = 'infinity' WHERE seq = ANY ($1::bigint[]) AND {FRESH}"  # noqa: S608 - constants

PROBE = f"""
SELECT seq, id, subject, type, body, traceparent, attempts FROM outbox
WHERE {FAILING} AND due_at < 'infinity' AND source = $1 AND type = $2
    AND created_at >= now() - $3::interval
ORDER BY due_at LIMIT 1 FOR UPDATE SKIP LOCKED
"""  # noqa: S608 - constants


class Message:
    """A `Message` is a row as the publisher needs it."""

    __slots__ = ("body", "expired", "id", "seq", "traceparent", "type")

    def __init__(
        self,
        seq: int,
        id: UUID,  # noqa: A002
        type: str,  # noqa: A002
        body: bytes,
        traceparent: str | None,
        expired: bool,  # noqa: FBT001
    ) -> None:
        self.seq = seq
        self.id = id
        self.type = type
        self.body = body
        self.traceparent = traceparent
        self.expired = expired


@dataclass(slots=True)
class SubjectRows:
    """These are rows of one subject in order, from its head on. `attempts` are the head's.

    `more` says that the subject may have further rows, and they may be parked.
    """

    subject: str
    attempts: int
    messages: list[Message]
    more: bool


@dataclass(slots=True)
class Outcome:
    """An outcome says how far publishing the rows of one subject got: the broker has confirmed the
    first `confirmed` of them.

    `error` says why the next one is not; None when it was not tried. `silent` says that the broker
    did not answer for that one.
    """

    rows: SubjectRows
    confirmed: int = 0
    error: str | None = None
    silent: bool = False

    @property
    def next_message(self) -> Message:
        return self.rows.messages[self.confirmed]

    @property
    def done(self) -> bool:
        return self.confirmed == len(self.rows.messages)


RetryAfter = Callable[[Outcome], timedelta | None]
"""A failed message is tried again after this pause; None: when a person says so."""


@dataclass(frozen=True, slots=True)
class Batch:
    """A batch is the result of one claim.

    The next claim goes on at `beyond`; None when this one has looked through all. Most of the rows
    that it looked through from `crowded_from` on cannot be claimed before others.
    """

    subjects: list[SubjectRows]
    beyond: int | None = None
    highest: int = 0
    crowded_from: int | None = None


@dataclass(frozen=True)
class Limits:
    """A claim has these bounds. It looks through at most `fresh` fresh rows for heads, and takes at
    most `failing` failing heads. It takes at most `of_subject` rows of one subject, `rows` rows and
    `bytes` bytes in all, but always at least one row.
    """

    fresh: int = 500
    failing: int = 100
    of_subject: int = 100
    rows: int = 1_000
    bytes: int = 8 * 1024 * 1024
    window: timedelta = timedelta(days=7)
    """Older rows are not sent: an inbox may have forgotten their first copy."""


async def claim(connection: Connection, source: str, look_from: int, limits: Limits) -> Batch:
    """Begin a transaction and lock the heads that belong to the fresh rows from `look_from` on, and
    failing rows that are due. The transaction stays open, except when there was nothing to take and
    nothing in the way.
    """
    await begin(connection)
    *records, (*_, rest) = await connection.fetch(
        CLAIM,
        source,
        look_from,
        limits.fresh,
        limits.failing,
        limits.of_subject,
        limits.rows,
        limits.bytes,
        limits.window,
    )
    beyond, in_the_way, share = rest
    subjects: list[SubjectRows] = []
    messages: list[Message] = []
    size = highest = 0
    current = -1
    for head, attempts, seq, identifier, subject, kind, body, trace, expired, _ in records:
        if head != current:
            current = head
            messages = []
            subjects.append(SubjectRows(subject, attempts, messages, attempts > 0))
            if attempts == 0 and head > highest:
                highest = head
        messages.append(Message(seq, identifier, kind, body, trace, expired))
        size += len(body)
        if len(messages) == share:
            subjects[-1].more = True
    if size >= limits.bytes:  # its last rows, and further subjects, may be left out
        subjects[-1].more = True
        beyond = look_from
    crowded = beyond is not None and in_the_way > limits.fresh // 2
    if not subjects and not crowded:
        await connection.execute("COMMIT")
    return Batch(subjects, beyond, highest, look_from if crowded else None)


async def park(connection: Connection, source: str, batch: Batch, *, window: int) -> int:
    """Park fresh rows that wait behind what this batch holds, or behind a failing head that nobody
    holds, whose lock is taken first. There is time for it while the batch is published.

    `window` is how many rows are looked through for such heads. Returns how many were parked.
    """
    near = await connection.fetch(WAITING, source, batch.crowded_from, window)
    behind = {rows.subject: rows.messages[-1].seq for rows in batch.subjects if rows.more}
    others = {row["subject"] for row in near} - {rows.subject for rows in batch.subjects}
    failing = await connection.fetch(LOCK_FAILING, source, list(others))
    behind |= {row["subject"]: row["seq"] for row in failing}
    if not behind:
        return 0
    waiting = await connection.fetch(WAITING, source, batch.crowded_from, PARKED_AT_ONCE)
    parked = [row["seq"] for row in waiting if row["seq"] > behind.get(row["subject"], row["seq"])]
    await connection.execute(PARK, parked)
    return len(parked)


async def settle(
    connection: Connection,
    source: str,
    outcomes: Sequence[Outcome],
    *,
    retry_after: RetryAfter,
    archive: bool,
) -> int | None:
    """Delete what was delivered, note what failed, let the next row of each subject go; commit.
    Returns the lowest row of these subjects that may go at once.
    """
    failed = [outcome for outcome in outcomes if outcome.error is not None]
    if failed:
        await connection.execute(
            FAIL,
            [outcome.next_message.seq for outcome in failed],
            [outcome.error for outcome in failed],
            [retry_after(outcome) for outcome in failed],
        )
    delivered = [m.seq for each in outcomes for m in each.rows.messages[: each.confirmed]]
    delete = (DELIVER_TO_ARCHIVE if archive else DELETE).format(
        rows=",".join(map(str, delivered)) or "NULL"
    )
    going_on = [
        outcome.rows.subject
        for outcome in outcomes
        if outcome.error is None and (outcome.rows.more or not outcome.done)
    ]
    if not going_on:
        await connection.execute(f"{delete}; COMMIT")
        return None
    await connection.execute(delete)
    heads = await connection.fetch(LET_NEXT_GO, source, going_on)
    await connection.execute("COMMIT")
    return min((head["seq"] for head in heads if head["attempts"] == 0), default=None)


async def claim_probe(
    connection: Connection, source: str, event_type: str, window: timedelta
) -> SubjectRows | None:
    """Begin a transaction and lock one failing row of this type. Returns None, without a
    transaction, where there is none that nobody holds.
    """
    await begin(connection)
    for seq, identifier, subject, kind, body, traceparent, attempts in await connection.fetch(
        PROBE, source, event_type, window
    ):
        message = Message(seq, identifier, kind, body, traceparent, False)
        return SubjectRows(subject, attempts, [message], more=True)
    await connection.execute("COMMIT")
    return None
