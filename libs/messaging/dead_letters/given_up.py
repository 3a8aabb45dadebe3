"""This module releases or reissues events that a relay gave up because an inbox may no longer know
their first copy.

A given-up row is the first of its subject, and the rows of its subject wait behind it. While an
inbox still knows its id, the row is released as it is: a copy that was handled is recognised.
Later it is reissued under a new id, and a person has to know that no copy was handled.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from libs.messaging.database import Connection
from libs.messaging.dead_letters.reissue import envelope_of, forgotten, reissued
from libs.messaging.schema.inbox_window import INBOX_WINDOW

_GIVEN_UP = "attempts > 0 AND due_at = 'infinity'"

_LISTED = f"""
SELECT id, type, subject, created_at, error, body, (
    SELECT count(*) FROM outbox AS later
    WHERE later.subject = row.subject AND (later.subject, later.seq) > (row.subject, row.seq)
) AS behind
FROM outbox AS row WHERE {_GIVEN_UP} AND ($1::uuid IS NULL OR id = $1) ORDER BY seq
"""  # noqa: S608  # nosec B608  # a constant

_LOCKED = f"""
SELECT id, subject FROM outbox WHERE {_GIVEN_UP} AND ($1::uuid[] IS NULL OR id = ANY ($1))
ORDER BY seq FOR UPDATE
"""  # noqa: S608  # nosec B608  # a constant

_ROWS = "SELECT seq, id, body FROM outbox WHERE subject = $1 ORDER BY seq"

_RENAME = "UPDATE outbox SET id = $2, body = $3 WHERE seq = $1"

_LET_GO = """
UPDATE outbox SET created_at = clock_timestamp(),
    due_at = CASE WHEN attempts > 0 THEN clock_timestamp() ELSE due_at END
WHERE subject = $1
"""


class GivenUpError(Exception):
    """The action is refused and nothing was changed. One line says why."""


class NotGivenUp(GivenUpError):
    """No given-up event has this id: it may have been sent again already."""


class MayBeHandled(GivenUpError):
    """No inbox knows any more whether the event was handled: a person has to know."""


@dataclass(frozen=True)
class GivenUp:
    """`behind` rows of the subject wait for this one. `forgotten` says why no inbox knows the id;
    None where it can be released as it is. `envelope` is the CloudEvent; empty where there is none.
    """

    id: UUID
    type: str
    subject: str
    created_at: datetime
    error: str
    behind: int
    forgotten: str | None
    envelope: Mapping[str, object]


@dataclass(frozen=True)
class LetGo:
    """The relay publishes this event at its next claim; `new_id` is set where it was reissued."""

    id: UUID
    new_id: UUID | None


async def given_up(
    connection: Connection, now: datetime, identifier: UUID | None = None
) -> list[GivenUp]:
    """Return the events, the oldest first; only the event `identifier` where it is given."""
    return [
        GivenUp(
            row["id"],
            row["type"],
            row["subject"],
            row["created_at"],
            row["error"],
            row["behind"],
            forgotten(str(row["id"]), now, INBOX_WINDOW),
            envelope_of(row["body"]) or {},
        )
        for row in await connection.fetch(_LISTED, identifier)
    ]


async def send_again(
    connection: Connection, identifier: UUID, now: datetime, *, not_handled: bool = False
) -> list[LetGo]:
    """Release the event while an inbox still knows its id, else reissue it.

    Raises GivenUpError, with nothing changed: NotGivenUp, or MayBeHandled where the event would be
    reissued and `not_handled` does not say that no copy of it was handled.
    """
    if forgotten(str(identifier), now, INBOX_WINDOW) is None:
        return await release(connection, [identifier], now)
    return await reissue(connection, [identifier], now, not_handled=not_handled)


async def release(
    connection: Connection, ids: Collection[UUID] | None, now: datetime
) -> list[LetGo]:
    """Release these (all if None) and the rows that wait behind them, under their own ids.

    Raises GivenUpError, with nothing changed, when no inbox knows one of the ids any more.
    """
    return await _let_go(connection, ids, now, reissue=False)


async def reissue(
    connection: Connection, ids: Collection[UUID], now: datetime, *, not_handled: bool = False
) -> list[LetGo]:
    """Release these and the rows that wait behind them; an event that no inbox knows any more gets
    a new id, and its old id becomes its cause.

    Raises GivenUpError, with nothing changed, unless `not_handled` says that no copy of them was
    handled, or when an inbox still knows one of `ids`: `release` is right then.
    """
    if not not_handled:
        raise MayBeHandled(
            "no inbox knows any more whether they were handled, and a new id has a new effect "
            "(--not-handled if you know that they were not)"
        )
    return await _let_go(connection, ids, now, reissue=True)


async def _let_go(
    connection: Connection, ids: Collection[UUID] | None, now: datetime, *, reissue: bool
) -> list[LetGo]:
    gone: list[LetGo] = []
    async with connection.transaction():
        # The owner of the lock on a subject's first row owns the subject: no relay touches it.
        heads = await connection.fetch(_LOCKED, None if ids is None else list(ids))
        missing = set(ids or ()) - {head["id"] for head in heads}
        if missing:
            raise NotGivenUp(f"no given-up event with id {', '.join(map(str, sorted(missing)))}")
        for head in heads:
            why = forgotten(str(head["id"]), now, INBOX_WINDOW)
            if why is not None and not reissue:
                raise GivenUpError(f"{head['id']} would be refused, for {why}: outbox reissue")
            if why is None and reissue:
                raise GivenUpError(
                    f"an inbox still knows whether {head['id']} was handled: "
                    "outbox release sends it without risk"
                )
            gone += [
                await _renamed(connection, *row, now=now)
                for row in await connection.fetch(_ROWS, head["subject"])
            ]
            await connection.execute(_LET_GO, head["subject"])
    return gone


async def _renamed(
    connection: Connection, seq: int, identifier: UUID, body: bytes, *, now: datetime
) -> LetGo:
    if forgotten(str(identifier), now, INBOX_WINDOW) is None:
        return LetGo(identifier, None)
    envelope = envelope_of(body)
    if envelope is None:
        raise GivenUpError(f"{identifier} cannot be reissued: its body is no JSON object")
    event = reissued(envelope, str(identifier), now)
    await connection.execute(_RENAME, seq, event.id, event.body)
    return LetGo(identifier, event.id)
