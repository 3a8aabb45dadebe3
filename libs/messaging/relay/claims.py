"""What a relay does in the database: claim rows, settle them. One transaction spans both.

A *head* is the first row of its subject. Who holds a head's lock owns the subject: it alone may
publish, delete, park or unpark rows of it. So a claim locks heads only, and takes with each the
rows that follow it (a *run*). Rows of one subject commit in the order of `seq`, because writers
hold the lock of the aggregate; that is why what a claim sees of a subject has no gaps.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import timedelta
from uuid import UUID

from libs.messaging.database import Connection, limits_transactions
from libs.messaging.relay.archive import DELETE, DELIVER_TO_ARCHIVE

BEGIN = """
BEGIN ISOLATION LEVEL READ COMMITTED;
SET LOCAL synchronous_commit = off;
SET LOCAL idle_in_transaction_session_timeout = '15s';
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off
"""
# A delete that is lost in a crash only sends again. The planner is told to
# walk the indexes in order: statistics of a table that is empty one second and full the next would
# mislead it. For the same reason pairs are compared: once it has seen one hot subject it would
# rather walk over all rows by `seq` than over this subject's. Only the index of both columns can
# compare pairs.

LIMIT_TRANSACTION = "; SET LOCAL transaction_timeout = '60s'"
"""Between two messages of one statement Postgres calls no session idle: a relay that vanished then,
behind a proxy, would keep its locks. Only from Postgres 17 on.
"""

CLAIM = """
WITH fresh AS MATERIALIZED (
    SELECT seq, subject, attempts FROM outbox AS row
    WHERE attempts = 0 AND due_at < 'infinity' AND seq >= $1
        AND NOT EXISTS (
            SELECT FROM outbox AS earlier
            WHERE earlier.subject = row.subject
                AND (earlier.subject, earlier.seq) < (row.subject, row.seq))
    ORDER BY seq LIMIT $2 FOR UPDATE SKIP LOCKED
), failing AS MATERIALIZED (
    SELECT seq, subject, attempts FROM outbox
    WHERE attempts > 0 AND due_at <= now()
    ORDER BY due_at LIMIT $3 FOR UPDATE SKIP LOCKED
)
SELECT head.seq, head.attempts, run.* FROM (TABLE fresh UNION ALL TABLE failing) AS head
CROSS JOIN LATERAL (
    SELECT seq, id, subject, type, body, traceparent, created_at < now() - $5::interval
    FROM outbox AS row
    WHERE row.subject = head.subject AND (row.subject, row.seq) >= (head.subject, head.seq)
    ORDER BY row.subject, row.seq LIMIT $4
) AS run
"""

FAIL = """
UPDATE outbox SET attempts = least(attempts + 1, 32000), error = failure.error,
    due_at = CASE WHEN failure.delay IS NULL THEN 'infinity'
        ELSE clock_timestamp() + failure.delay END
FROM unnest($1::bigint[], $2::text[], $3::interval[]) AS failure (seq, error, delay)
WHERE outbox.seq = failure.seq
"""

UNPARK_NEXT = """
WITH next AS MATERIALIZED (
    SELECT found.seq, found.attempts, found.due_at FROM unnest($1::text[]) AS mine (subject)
    CROSS JOIN LATERAL (
        SELECT seq, attempts, due_at FROM outbox
        WHERE outbox.subject = mine.subject AND (outbox.subject, outbox.seq) > (mine.subject, 0)
        ORDER BY subject, seq LIMIT 1
    ) AS found
), unparked AS (
    UPDATE outbox SET due_at = now() FROM next
    WHERE outbox.seq = next.seq AND next.due_at = 'infinity' AND next.attempts = 0
)
SELECT min(seq) FROM next WHERE attempts = 0
"""

PARK_TAIL = """
WITH near AS MATERIALIZED (
    SELECT seq, subject FROM outbox
    WHERE attempts = 0 AND due_at < 'infinity' AND seq >= $1 ORDER BY seq LIMIT 20000
)
UPDATE outbox SET due_at = 'infinity'
FROM unnest($2::text[], $3::bigint[]) AS mine (subject, last) JOIN near USING (subject)
WHERE outbox.seq = near.seq AND near.seq > mine.last
"""


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


class Run:
    """Rows of one subject in order, and how far they got: `messages[:confirmed]` are delivered.

    `error` is about the message after those; None while it is not known to have failed.
    `delay` is when to try that one again; None: never, until a person says so.
    `open_ended`: the subject may have more rows after these, and they may be parked.
    """

    __slots__ = ("attempts", "confirmed", "delay", "error", "messages", "open_ended", "subject")

    def __init__(self, subject: str, attempts: int) -> None:
        self.subject = subject
        self.attempts = attempts
        self.messages: list[Message] = []
        self.confirmed = 0
        self.error: str | None = None
        self.delay: timedelta | None = None
        self.open_ended = attempts > 0

    @property
    def done(self) -> bool:
        return self.confirmed == len(self.messages)


@dataclass
class Batch:
    """What one claim got. `full`: there may be more at once. `claimed_at` is `time.monotonic()`."""

    runs: list[Run]
    full: bool
    lowest: int | None
    claimed_at: float


@dataclass(frozen=True)
class Limits:
    heads: int = 1000
    failing: int = 100
    run: int = 100
    window: timedelta = timedelta(days=7)
    """Older rows are not sent: an inbox may have forgotten their first copy."""


async def claim(connection: Connection, floor: int, limits: Limits) -> Batch:
    """Begin a transaction and lock up to `limits.heads` heads from `floor` on, and failing rows
    that are due. The transaction stays open, except when there was nothing.
    """
    claimed_at = time.monotonic()
    await connection.execute(BEGIN + LIMIT_TRANSACTION * limits_transactions(connection))
    records = await connection.fetch(
        CLAIM, floor, limits.heads, limits.failing, limits.run, limits.window
    )
    if not records:
        await connection.execute("COMMIT")
        return Batch([], full=False, lowest=None, claimed_at=claimed_at)
    runs: list[Run] = []
    current = -1
    fresh = 0
    lowest = None
    for head, attempts, seq, identifier, subject, kind, body, traceparent, expired in records:
        if head != current:
            current = head
            run = Run(subject, attempts)
            runs.append(run)
            if attempts == 0:
                fresh += 1
                if lowest is None or head < lowest:
                    lowest = head
        run.messages.append(Message(seq, identifier, kind, body, traceparent, expired=expired))
        if len(run.messages) >= limits.run:
            run.open_ended = True
    return Batch(runs, full=fresh >= limits.heads, lowest=lowest, claimed_at=claimed_at)


async def settle(
    connection: Connection,
    runs: Sequence[Run],
    *,
    archive: bool,
    park_from: int | None,
) -> int | None:
    """Delete what was delivered, note what failed, let the next row of each subject go; commit.

    With `park_from`, rows from there on that wait behind a long run are parked, so that claims
    do not walk over them. Returns the lowest row of these subjects that may go at once.
    """
    delivered = [m.seq for run in runs for m in run.messages[: run.confirmed]]
    failed = [run for run in runs if run.error is not None]
    onward = [run for run in runs if run.error is None and (run.open_ended or not run.done)]
    if failed:
        await connection.execute(
            FAIL,
            [run.messages[run.confirmed].seq for run in failed],
            [run.error for run in failed],
            [run.delay for run in failed],
        )
    finish = (DELIVER_TO_ARCHIVE if archive else DELETE).format(
        rows=",".join(map(str, delivered)) or "NULL"
    )
    if not onward:
        await connection.execute(f"{finish}; COMMIT")
        return None
    await connection.execute(finish)
    subjects = [run.subject for run in onward]
    if park_from is not None:
        last = [run.messages[-1].seq for run in onward]
        await connection.execute(PARK_TAIL, park_from, subjects, last)
    upcoming: int | None = await connection.fetchval(UNPARK_NEXT, subjects)
    await connection.execute("COMMIT")
    return upcoming


class Floor:
    """The lowest row worth looking at, learned from earlier claims.

    Under an old snapshot (a dump running) deleted rows stay in the index, and each claim would
    walk over them all. The hint lags half a second behind, so that transactions that overlap do
    not slip under it; `sweep` looks for the few that do.
    """

    LAG = 0.5

    def __init__(self) -> None:
        self.seq = 0
        self._seen: list[tuple[float, int]] = []

    def learn(self, lowest: int, now: float) -> None:
        """A claim at `now` (seconds) found nothing below `lowest`."""
        while self._seen and now - self._seen[0][0] >= self.LAG:
            self.seq = self._seen.pop(0)[1]
        if not self._seen or now - self._seen[-1][0] > self.LAG / 10:
            self._seen.append((now, lowest))

    def lower(self, seq: int) -> None:
        """A row at `seq` may go."""
        self.seq = min(self.seq, seq)
        self._seen = [(at, min(low, seq)) for at, low in self._seen]
