"""The backlog counts the rows that wait in the outbox: for readiness, for metrics, and to refuse
work in time.
"""

from dataclasses import dataclass

from libs.messaging.database import Connection

_BACKLOG = """
SELECT
    (SELECT count(*) FROM (SELECT FROM outbox LIMIT 100000) AS counted) AS rows,
    coalesce(extract(epoch FROM now() -
        (SELECT created_at FROM outbox ORDER BY seq LIMIT 1)), 0)::float AS age,
    (SELECT count(*) FROM (
        SELECT FROM outbox WHERE attempts > 0 LIMIT 100000) AS counted) AS failing,
    (SELECT error FROM outbox WHERE attempts > 0 ORDER BY due_at DESC LIMIT 1) AS error,
    (SELECT count(*) FROM (
        SELECT FROM outbox WHERE attempts > 0 AND due_at = 'infinity' LIMIT 100000) AS counted)
        AS given_up
"""


@dataclass(frozen=True)
class Backlog:
    """A backlog has the rows waiting (counted up to 100,000), the oldest one's age in seconds, how
    many of them failed at least once, the error of one of those, and how many a person has to
    decide about (see `outbox.given_up`).
    """

    rows: int
    age: float
    failing: int
    error: str | None
    given_up: int = 0


async def backlog(connection: Connection) -> Backlog:
    (row,) = await connection.fetch(_BACKLOG)
    return Backlog(*row)
