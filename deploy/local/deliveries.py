"""Whether every event was published, and came to each of its subscribers exactly once.

Events are compared one type at a time, inside the subscriber's database: a million purchases
make tens of millions of rows in inboxes, which nobody has to carry about.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from deploy.local.snapshot import Connections, Row
from libs.messaging.inbox import InboxWindow
from libs.messaging.participant import Participant
from libs.messaging.reactions import Reaction

KNOWN_FOR = InboxWindow().past
"""Inboxes forget older messages, so older events prove nothing."""

UNPUBLISHED = """
    SELECT id, type, subject FROM outbox
     WHERE created_at < now() - $1 * interval '1 second' ORDER BY seq"""
PUBLISHED = """
    SELECT id FROM outbox_archive
     WHERE type = $1 AND created_at > now() - $2::interval
       AND published_at < now() - $3 * interval '1 second'"""
NOT_ONCE = """
    SELECT event.id, count(i.message_id) AS times
      FROM unnest($1::uuid[]) AS event (id)
      LEFT JOIN inbox i ON i.message_id = event.id AND i.consumer = $2
     GROUP BY event.id HAVING count(i.message_id) <> 1 ORDER BY event.id"""


@dataclass(frozen=True)
class Deliveries:
    """`not_once` holds, by queue, the events it has handled never or more than once: `id` and
    `times`. `archived` names the services that have anything in their archive.
    """

    unpublished: Sequence[Row]
    not_once: Mapping[str, Sequence[Row]]
    archived: frozenset[str]


async def read_deliveries(
    connections: Connections, participants: Sequence[Participant], grace_seconds: float
) -> Deliveries:
    """Events younger than `grace_seconds` may be on their way and are left out."""
    unpublished: list[Row] = []
    archived: set[str] = set()
    for name, connection in connections.items():
        unpublished += await connection.fetch(UNPUBLISHED, grace_seconds)
        if await connection.fetchval("SELECT EXISTS (SELECT FROM outbox_archive)"):
            archived.add(name)
    not_once: dict[str, Sequence[Row]] = {}
    for publisher, reactions in _heard(participants):
        event_type = reactions[0].event_type
        rows = await connections[publisher].fetch(PUBLISHED, event_type, KNOWN_FOR, grace_seconds)
        events: list[UUID] = [row["id"] for row in rows]
        for reaction in reactions:
            subscriber = connections[reaction.service]
            not_once[reaction.queue] = await subscriber.fetch(NOT_ONCE, events, reaction.queue)
    return Deliveries(unpublished, not_once, frozenset(archived))


def _heard(participants: Sequence[Participant]) -> list[tuple[str, list[Reaction[Any]]]]:
    """For each event type somebody reacts to: its publisher, and the reactions."""
    reactions: dict[str, list[Reaction[Any]]] = defaultdict(list)
    for participant in participants:
        for reaction in participant.reacts_to:
            reactions[reaction.event_type].append(reaction)
    return [
        (participant.name, reactions[event.type])
        for participant in participants
        for event in participant.publishes
        if event.type in reactions
    ]
