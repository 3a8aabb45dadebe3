"""What a relay does with rows: claim them, settle what became of them. One transaction spans both.

A claim locks heads only, and takes with each the rows that follow it. Rows of one subject commit in
the order of `seq`, because writers hold the lock of the aggregate; that is why what a claim sees of
a subject has no gaps.

A claim is bounded: in the rows it looks through, in the rows it takes and in their bytes. When the
rows it looks through hold few heads, the next claim goes on behind them, and what was in the way
is parked while the batch is published.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from libs.messaging.database import Connection
from libs.messaging.relay.archive import DELETE, DELIVER_TO_ARCHIVE
from libs.messaging.relay.rows import (
    BEYOND,
    FAILING,
    FRESH,
    HEAD,
    OF_SUBJECT,
    WINDOW,
    begin,
    heads_among,
)

MANY_IN_THE_WAY = WINDOW // 4
"""When a claim looked through so many rows that it could not take, they are parked."""

PARKED_AT_ONCE = 10 * WINDOW
"""So many rows from there on are looked through for some to park."""

_ROWS = OF_SUBJECT.format(
    columns="each.seq, each.id, each.subject, each.type, each.body, each.traceparent,"
    " each.created_at < now() - $8::interval",
    first="row.seq",
    limit="(SELECT rows FROM share)",
)

CLAIM = f"""
WITH {heads_among(FRESH)}, heads_to_claim AS MATERIALIZED (
    SELECT ctid FROM heads WHERE {FRESH}
), fresh AS MATERIALIZED (
    SELECT outbox.seq, outbox.source, outbox.subject, outbox.attempts
    FROM heads_to_claim AS head JOIN outbox ON outbox.ctid = head.ctid
    WHERE {FRESH} LIMIT $3 FOR UPDATE OF outbox SKIP LOCKED
), failing AS MATERIALIZED (
    SELECT seq, source, subject, attempts FROM outbox
    WHERE {FAILING} AND due_at <= now() AND source = $1
    ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED
), head AS (TABLE failing UNION ALL TABLE fresh
), share AS MATERIALIZED (
    SELECT greatest(1, least($5, $6 / greatest(1, count(*)))) AS rows FROM head
), taken AS (
    SELECT row.seq AS head, row.attempts, (SELECT rows FROM share) AS share, of_subject.*,
        sum(octet_length(body)) OVER (ROWS UNBOUNDED PRECEDING) - octet_length(body) AS before
    FROM head AS row CROSS JOIN LATERAL ({_ROWS}) AS of_subject
), rest AS (
    SELECT CASE WHEN (SELECT count(*) FROM fresh) < $3 THEN {BEYOND} END AS beyond
)
SELECT beyond,
    CASE WHEN beyond > 0
        THEN (SELECT count(*) FROM near) - (SELECT count(*) FROM heads_to_claim) END AS in_the_way,
    taken.*
FROM rest LEFT JOIN taken ON before < $7
"""  # noqa: S608 - constants
# The sum runs in the order in which the rows come: subject by subject, each in the order of `seq`.

FAIL = """
UPDATE outbox SET attempts = least(attempts + 1, 32000), error = failure.error,
    due_at = CASE WHEN failure.delay IS NULL THEN 'infinity'
        ELSE clock_timestamp() + failure.delay END
FROM unnest($1::bigint[], $2::text[], $3::interval[]) AS failure (seq, error, delay)
WHERE outbox.seq = failure.seq
"""

_SUBJECTS = "(SELECT $1::text AS source, subject FROM unnest($2::text[]) AS given (subject)) AS row"

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
WHERE {FRESH} AND source = $1 AND seq >= $2 ORDER BY seq LIMIT {PARKED_AT_ONCE}
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
    """A row as the publisher needs it."""

    __slots__ = ("body", "expired", "id", "seq", "traceparent", "type")

    def __init__(
        self,
        seq: int,
        id: UUID,  # noqa: A002
        type: str,  # noqa: A002
        body: bytes,
        traceparent: str | None,
        *,
        expired: bool,
    ) -> None:
        self.seq = seq
        self.id = id
        self.type = type
        self.body = body
        self.traceparent = traceparent
        self.expired = expired


@dataclass(slots=True)
class SubjectRows:
    """Rows of one subject in order, from its head on. `attempts` are the head's.

    `more`: the subject may have further rows, and they may be parked.
    """

    subject: str
    attempts: int
    messages: list[Message]
    more: bool


@dataclass(frozen=True, slots=True)
class Settled:
    """What became of rows of one subject: the first `confirmed` are with the broker.

    `error` says why the next one is not; None when it was not tried. `delay` is when to try that
    one again; None: never, until a person says so.
    """

    rows: SubjectRows
    confirmed: int
    error: str | None = None
    delay: timedelta | None = None

    @property
    def goes_on(self) -> bool:
        return self.error is None and (self.rows.more or self.confirmed < len(self.rows.messages))


@dataclass(frozen=True, slots=True)
class Batch:
    """What one claim got.

    `full`: another claim may get more at once. `beyond`: where that one should look; None: from the
    scan start. `highest`: the highest row among the heads. `park_from`: the rows looked through
    from there on were in the way.
    """

    subjects: list[SubjectRows]
    full: bool = False
    beyond: int | None = None
    highest: int = 0
    park_from: int | None = None


@dataclass(frozen=True)
class Limits:
    """Of one claim. `of_subject` are rows of one subject; `rows` are shared by the subjects; of
    more `bytes` it takes one row at least.
    """

    heads: int = 1_000
    failing: int = 100
    of_subject: int = 100
    rows: int = 2_000
    bytes: int = 8 * 1024 * 1024
    window: timedelta = timedelta(days=7)
    """Older rows are not sent: an inbox may have forgotten their first copy."""


async def claim(connection: Connection, source: str, look_from: int, limits: Limits) -> Batch:
    """Begin a transaction and lock heads among the fresh rows from `look_from` on, and failing rows
    that are due. The transaction stays open, except when there was nothing to take or to park.
    """
    await begin(connection)
    records = await connection.fetch(
        CLAIM,
        source,
        look_from,
        limits.heads,
        limits.failing,
        limits.of_subject,
        limits.rows,
        limits.bytes,
        limits.window,
    )
    beyond, in_the_way = records[0][0], records[0][1] or 0
    park_from = look_from if in_the_way >= MANY_IN_THE_WAY else None
    subjects: list[SubjectRows] = []
    size = fresh = highest = 0
    current = -1
    for _, _, head, attempts, share, seq, identifier, subject, kind, body, trace, expired, _ in (
        records if records[0][2] is not None else ()
    ):
        if head != current:
            current = head
            messages: list[Message] = []
            subjects.append(SubjectRows(subject, attempts, messages, more=attempts > 0))
            fresh += attempts == 0
            highest = max(highest, head)
        messages.append(Message(seq, identifier, kind, body, trace, expired=expired))
        size += len(body)
        if len(messages) == share:
            subjects[-1].more = True
    if size >= limits.bytes:  # its last rows, and further subjects, may be left out
        subjects[-1].more = True
    if not subjects and park_from is None:
        await connection.execute("COMMIT")
    full = fresh >= limits.heads or size >= limits.bytes or beyond is not None
    return Batch(subjects, full, beyond, highest, park_from)


async def park(connection: Connection, source: str, batch: Batch) -> None:
    """Park fresh rows that are in the way: those behind the rows this batch holds, and those behind
    a failing head that nobody holds, whose lock is taken first. There is time for it while the
    batch is published.
    """
    waiting = await connection.fetch(WAITING, source, batch.park_from)
    behind = {rows.subject: rows.messages[-1].seq for rows in batch.subjects if rows.more}
    others = {row["subject"] for row in waiting} - {rows.subject for rows in batch.subjects}
    failing = await connection.fetch(LOCK_FAILING, source, list(others))
    behind |= {row["subject"]: row["seq"] for row in failing}
    await connection.execute(
        PARK,
        [row["seq"] for row in waiting if row["seq"] > behind.get(row["subject"], row["seq"])],
    )


async def settle(
    connection: Connection, source: str, settled: Sequence[Settled], *, archive: bool
) -> int | None:
    """Delete what was delivered, note what failed, let the next row of each subject go; commit.

    Returns the lowest row of these subjects that may go at once.
    """
    failed = [each for each in settled if each.error is not None]
    if failed:
        await connection.execute(
            FAIL,
            [each.rows.messages[each.confirmed].seq for each in failed],
            [each.error for each in failed],
            [each.delay for each in failed],
        )
    delivered = [m.seq for each in settled for m in each.rows.messages[: each.confirmed]]
    delete = (DELIVER_TO_ARCHIVE if archive else DELETE).format(
        rows=",".join(map(str, delivered)) or "NULL"
    )
    going_on = [each.rows.subject for each in settled if each.goes_on]
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
    """Begin a transaction and lock one failing row of this type; None, and no transaction, when
    there is none that nobody holds.
    """
    await begin(connection)
    for seq, identifier, subject, kind, body, traceparent, attempts in await connection.fetch(
        PROBE, source, event_type, window
    ):
        message = Message(seq, identifier, kind, body, traceparent, expired=False)
        return SubjectRows(subject, attempts, [message], more=True)
    await connection.execute("COMMIT")
    return None
