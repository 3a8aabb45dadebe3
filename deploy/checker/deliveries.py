"""Every event has to be published, and has to reach each of its subscribers exactly once.

A million purchases make tens of millions of rows in archives and inboxes. Each database sums up its
own: the number of a type in about a minute, and a sum over their ids. Where the sums of a publisher
and a subscriber agree, so do their events; only where they differ is each one looked up.
"""

import asyncio
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeAlias
from uuid import UUID

from deploy.checker.purchase import Row
from deploy.checker.report import LISTED, Found
from deploy.checker.snapshot import Connections
from libs.messaging.saga.choreography import ConsumedEvent, DescribedParticipant
from libs.messaging.schema.inbox_window import INBOX_WINDOW

KNOWN_FOR = INBOX_WINDOW.past
"""Inboxes delete older messages, so older events prove nothing."""

UNPUBLISHED = """
    SELECT id, type, subject, attempts, error, due_at = 'infinity' AS parked,
           count(*) OVER () AS of_all
      FROM outbox WHERE created_at < now() - $1 * interval '1 second' ORDER BY seq LIMIT $2"""
PUBLISHED_SINCE = "SELECT DISTINCT subject FROM outbox WHERE created_at > $1"
# Ids begin with the time of their creation: four bytes of it are the same for 65 seconds.
PUBLISHED_SUMS = """
    SELECT type, substr(uuid_send(id), 1, 4) AS span,
           count(*) AS events, sum(uuid_hash(id)) AS ids,
           array_agg(subject) FILTER (WHERE published_at > $1) AS moved
      FROM outbox_archive WHERE created_at > now() - $2::interval GROUP BY 1, 2"""
HANDLED_SUMS = """
    SELECT consumer, substr(uuid_send(message_id), 1, 4) AS span,
           count(*) AS events, sum(uuid_hash(message_id)) AS ids
      FROM inbox GROUP BY 1, 2"""
DOUBTFUL = """
    SELECT a.id, a.type FROM outbox_archive a
      JOIN unnest($1::text[], $2::bytea[]) AS doubt (type, span)
        ON doubt.type = a.type AND doubt.span = substr(uuid_send(a.id), 1, 4)
     WHERE a.created_at > now() - $3::interval AND a.published_at < now() - $4 * interval '1 second'
     ORDER BY a.type"""
NOT_ONCE = """
    SELECT event.id, count(i.message_id) AS times
      FROM unnest($1::uuid[]) AS event (id)
      LEFT JOIN inbox i ON i.message_id = event.id AND i.consumer = $2
     GROUP BY event.id HAVING count(i.message_id) <> 1 ORDER BY event.id"""

AT_A_TIME = 10_000

Span: TypeAlias = tuple[str, bytes]
Sums: TypeAlias = Mapping[Span, tuple[int, int]]


@dataclass
class Misses:
    """A queue has handled these events never or more than once: their number, and some ids."""

    never: int = 0
    again: int = 0
    never_ids: list[UUID] = field(default_factory=list)
    again_ids: list[UUID] = field(default_factory=list)

    def add(self, rows: Sequence[Row]) -> None:
        never = [row["id"] for row in rows if row["times"] == 0]
        again = [row["id"] for row in rows if row["times"] > 1]
        self.never += len(never)
        self.again += len(again)
        self.never_ids += never[: LISTED - len(self.never_ids)]
        self.again_ids += again[: LISTED - len(self.again_ids)]


@dataclass(frozen=True)
class Deliveries:
    """`archived` names the services whose archive is not empty; `moved` are the subjects about
    which an event was stored or published since the given time.
    """

    unpublished: Found
    misses: Mapping[str, Misses]
    archived: frozenset[str]
    moved: frozenset[str]


async def read_deliveries(
    connections: Connections,
    participants: Sequence[DescribedParticipant],
    since: Mapping[str, datetime],
    grace_seconds: float,
) -> Deliveries:
    """Read what was published and handled, but no event younger than `grace_seconds`."""
    unpublished, moved = Found(), set[str]()
    for name, connection in connections.items():  # before the archives, because rows go there next
        rows = await connection.fetch(UNPUBLISHED, grace_seconds, LISTED)
        if rows:
            unpublished.add_some(rows[0]["of_all"], [_sentence(row) for row in rows])
        moved |= {row["subject"] for row in await connection.fetch(PUBLISHED_SINCE, since[name])}
    published: dict[str, Sums] = {}
    sums = await asyncio.gather(
        *(
            connection.fetch(PUBLISHED_SUMS, since[name], KNOWN_FOR)
            for name, connection in connections.items()
        )
    )
    for name, rows in zip(connections, sums, strict=True):
        moved.update(subject for row in rows for subject in row["moved"] or ())
        published[name] = {(row["type"], row["span"]): (row["events"], row["ids"]) for row in rows}
    return Deliveries(
        unpublished,
        await _compare(connections, participants, published, grace_seconds),
        frozenset(name for name, found in published.items() if found),
        frozenset(moved),
    )


async def _compare(
    connections: Connections,
    participants: Sequence[DescribedParticipant],
    published: Mapping[str, Sums],
    grace_seconds: float,
) -> Mapping[str, Misses]:
    inboxes = await asyncio.gather(*(each.fetch(HANDLED_SUMS) for each in connections.values()))
    handled = {
        (row["consumer"], row["span"]): (row["events"], row["ids"])
        for rows in inboxes
        for row in rows
    }
    misses: dict[str, Misses] = defaultdict(Misses)
    for publisher, reactions in _consumed(participants).items():
        doubts = {
            (event_type, span)
            for (event_type, span), sums in published[publisher].items()
            for reaction in reactions.get(event_type, ())
            if handled.get((reaction.queue, span)) != sums
        }
        if doubts:
            await _look_up(connections, publisher, reactions, doubts, grace_seconds, misses)
    return misses


async def _look_up(
    connections: Connections,
    publisher: str,
    reactions: Mapping[str, Sequence[ConsumedEvent]],
    doubts: set[Span],
    grace_seconds: float,
    misses: Mapping[str, Misses],
) -> None:
    types, spans = zip(*doubts, strict=True)
    archive = connections[publisher]
    async with archive.transaction(readonly=True):
        cursor = await archive.cursor(DOUBTFUL, types, spans, KNOWN_FOR, grace_seconds)
        while rows := await cursor.fetch(AT_A_TIME):
            events: dict[str, list[UUID]] = defaultdict(list)
            for row in rows:
                events[row["type"]].append(row["id"])
            for event_type, ids in events.items():
                for reaction in reactions[event_type]:
                    subscriber = connections[reaction.service]
                    found = await subscriber.fetch(NOT_ONCE, ids, reaction.queue)
                    misses[reaction.queue].add(found)


def _consumed(
    participants: Sequence[DescribedParticipant],
) -> Mapping[str, dict[str, list[ConsumedEvent]]]:
    """Return the consumed event types of each publisher, and the reactions."""
    reactions: dict[str, list[ConsumedEvent]] = defaultdict(list)
    for participant in participants:
        for reaction in participant.consumes:
            reactions[reaction.event_type].append(reaction)
    return {
        participant.name: {
            event.type: reactions[event.type]
            for event in participant.publishes
            if event.type in reactions
        }
        for participant in participants
    }


def _sentence(row: Row) -> str:
    event = f"{row['type']} {row['id']} of {row['subject']}"
    if row["attempts"] and row["parked"]:
        return f"{event} is parked and needs a person: {row['error']}"
    if row["attempts"]:
        return f"{event} was not published in {row['attempts']} attempts: {row['error']}"
    if row["parked"]:
        return f"{event} waits behind one that is not published"
    return f"{event} was not published"
