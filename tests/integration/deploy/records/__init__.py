"""Writes each service's records of the purchases, in a module of the service's name. A service that
only keeps views has none.

`records` yields the statements of one purchase. `events`, where a module has it, names the types of
the events of a purchase that `PURCHASES` does not name.
"""

from collections.abc import Iterator, Mapping, Sequence
from importlib import import_module
from types import ModuleType

import asyncpg

from deploy.checker.records import STATEMENTS
from libs.messaging.saga.choreography import DescribedParticipant
from tests.integration.deploy.purchases import PURCHASES, Purchase, Statements, identifier

ARCHIVED = """
    INSERT INTO outbox_archive (seq, id, subject, type, body, created_at, published_at)
    VALUES ($1, $2, $3::uuid::text, $4, '', now() - interval '1 hour', now() - interval '1 hour')"""
HANDLED = """
    INSERT INTO inbox (message_id, consumer, made_at, payload_hash)
    VALUES ($1, $2, now() - interval '1 hour', '')"""


async def fill(databases: Mapping[str, str], participants: Sequence[DescribedParticipant]) -> None:
    """Write every purchase, its events into the archives, and each event into the
    inboxes of its consumers.
    """
    for participant in participants:
        connection = await asyncpg.connect(databases[participant.name])
        try:
            for statement, *values in (*_records(participant.name), *_messages(participant)):
                await connection.execute(statement, *values)
        finally:
            await connection.close()


def _modules() -> Mapping[str, ModuleType]:
    return {service: import_module(f"{__name__}.{service}") for service in STATEMENTS}


def _records(service: str) -> Statements:
    if service in STATEMENTS:
        for name, purchase in PURCHASES.items():
            yield from _modules()[service].records(name, purchase)


def _events(purchase: Purchase) -> Iterator[str]:
    yield from purchase.events
    for module in _modules().values():
        if hasattr(module, "events"):
            yield from module.events(purchase)


def _messages(participant: DescribedParticipant) -> Statements:
    own = {event.type for event in participant.publishes}
    queues = {reaction.event_type: reaction.queue for reaction in participant.consumes}
    events = [(name, event) for name, purchase in PURCHASES.items() for event in _events(purchase)]
    for number, (name, event) in enumerate(events):
        if event in own:
            yield ARCHIVED, number, identifier(name, event), identifier(name), event
        if event in queues:
            yield HANDLED, identifier(name, event), queues[event]
