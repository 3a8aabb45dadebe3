"""What a relay tidies once a second, beside the claims, in short statements of their own."""

from collections.abc import Collection

from libs.messaging.database import Connection

NEAR = 20_000
"""How many fresh rows are looked through at once for some to park."""

_BELOW = """
SELECT seq FROM outbox AS row
WHERE attempts = 0 AND due_at < 'infinity' AND seq < $1
    AND NOT EXISTS (
        SELECT FROM outbox AS earlier
        WHERE earlier.subject = row.subject
            AND (earlier.subject, earlier.seq) < (row.subject, row.seq))
ORDER BY seq LIMIT 1
"""

_PARK_BEHIND_FAILING = """
WITH near AS MATERIALIZED (
    SELECT seq, subject FROM outbox
    WHERE attempts = 0 AND due_at < 'infinity' AND seq >= $1 ORDER BY seq LIMIT $2
), head AS MATERIALIZED (
    SELECT failing.seq, failing.subject FROM (SELECT DISTINCT subject FROM near) AS waiting
    CROSS JOIN LATERAL (
        SELECT seq FROM outbox
        WHERE outbox.subject = waiting.subject
            AND (outbox.subject, outbox.seq) > (waiting.subject, 0)
        ORDER BY subject, seq LIMIT 1
    ) AS first
    JOIN outbox AS failing ON failing.seq = first.seq
    WHERE failing.attempts > 0 FOR UPDATE OF failing SKIP LOCKED
)
UPDATE outbox SET due_at = 'infinity' FROM near JOIN head USING (subject)
WHERE outbox.seq = near.seq AND near.seq > head.seq
"""

_UNPARK_ORPHANS = """
UPDATE outbox AS row SET due_at = now()
WHERE attempts = 0 AND due_at = 'infinity'
    AND NOT EXISTS (
        SELECT FROM outbox AS earlier
        WHERE earlier.subject = row.subject
            AND (earlier.subject, earlier.seq) < (row.subject, row.seq))
RETURNING seq
"""

_RELEASE = """
UPDATE outbox SET due_at = now()
WHERE attempts > 0 AND due_at < 'infinity' AND due_at > now() AND type = ANY ($1)
"""


async def lowest_below(connection: Connection, floor: int) -> int | None:
    """A row that may go although it lies below the floor: its transaction committed late."""
    found: int | None = await connection.fetchval(_BELOW, floor)
    return found


async def park_behind_failing(connection: Connection, floor: int) -> int:
    """Park what waits behind failing heads (each locked meanwhile), up to NEAR rows; how many."""
    if not await connection.fetchval("SELECT EXISTS (SELECT FROM outbox WHERE attempts > 0)"):
        return 0
    return _count(await connection.execute(_PARK_BEHIND_FAILING, floor, NEAR))


async def unpark_orphans(connection: Connection) -> int | None:
    """Let rows go that are parked behind nothing: somebody deleted what they waited for."""
    rows = await connection.fetch(_UNPARK_ORPHANS)
    return min((row[0] for row in rows), default=None)


async def release(connection: Connection, types: Collection[str]) -> int:
    """Try failing rows of these types again at once: their queue is back."""
    return _count(await connection.execute(_RELEASE, list(types)))


def _count(status: str) -> int:
    return int(status.rpartition(" ")[2])
