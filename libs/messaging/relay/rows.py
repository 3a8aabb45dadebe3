"""All statements of a relay share this view of the outbox.

A row is *fresh*, *failing* or *parked* (see `schema.tables`). The *head* of a subject is its first
row. The relay that holds the lock of a head owns the subject: only that relay publishes, deletes
and parks the subject's rows. A relay sees the rows of its own source only: participants that share
an outbox own the subjects of their own rows.
"""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from libs.messaging.database import Connection, limits_transactions

FRESH = "attempts = 0 AND due_at < 'infinity'"
FAILING = "attempts > 0"
PARKED = "attempts = 0 AND due_at = 'infinity'"

OF_SUBJECT = """SELECT {columns} FROM outbox AS each
    WHERE (each.subject, each.seq) >= (row.subject, {first}) AND each.subject <= row.subject
        AND each.source = $1
    ORDER BY each.subject, each.seq LIMIT {limit}"""
"""This selects the rows of the subject of `row`, in order. `$1` is the source.

The bounds are a pair and `<=` because only the index of both columns serves them in this order.
With `=` and the statistics of one hot subject, the planner reads all rows by `seq` instead.
"""

HEAD = OF_SUBJECT.format(
    columns="each.ctid, each.subject, each.seq, each.attempts, each.due_at", first=0, limit=1
)
"""This selects the head of the subject of `row`. `$1` is the source."""


def heads_among(state: str, *, limit: str, before: str = "") -> str:
    """Return SQL: `near` are the first rows of that state and of the source `$1`, from `$2` on;
    `heads` are their subjects' heads, each with the subject's first row in `near` as `nearest`.
    """
    return f"""near AS MATERIALIZED (
    SELECT subject, seq FROM outbox
    WHERE {state} AND source = $1 AND seq >= $2 {before} ORDER BY seq LIMIT {limit}
), heads AS MATERIALIZED (
    SELECT row.nearest, head.*
    FROM (SELECT subject, min(seq) AS nearest FROM near GROUP BY subject ORDER BY nearest) AS row
    CROSS JOIN LATERAL ({HEAD}) AS head
)"""  # noqa: S608 - constants


_SETTINGS = """
SET LOCAL synchronous_commit = off;
SET LOCAL idle_in_transaction_session_timeout = '15s';
SET LOCAL enable_seqscan = off;
SET LOCAL enable_bitmapscan = off;
SET LOCAL enable_hashjoin = off;
SET LOCAL enable_mergejoin = off"""
# If a crash loses a DELETE, the row is merely published again. The planner walks the indexes in
# order, because the statistics of a table that is empty one second and full the next mislead it.

_TRANSACTION_TIMEOUT = "SET LOCAL transaction_timeout = '60s'"
# Between two messages of one statement Postgres does not count a session as idle: a relay that
# vanishes at that moment, behind a proxy, would keep its locks.


async def begin(connection: Connection) -> None:
    """Begin a transaction with the settings that the statements of a relay need."""
    settings = _SETTINGS
    if limits_transactions(connection):
        settings = f"{settings};\n{_TRANSACTION_TIMEOUT}"
    await connection.execute(f"BEGIN ISOLATION LEVEL READ COMMITTED;{settings}")


@asynccontextmanager
async def transaction(connection: Connection) -> AsyncIterator[None]:
    """Run such a transaction, and commit. After an error, close the connection."""
    await begin(connection)
    yield
    await connection.execute("COMMIT")
