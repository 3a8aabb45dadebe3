"""The whole choreography as one service's process sees it: found by name, never imported."""

from pathlib import Path

import structlog

from libs.messaging.saga.discovery import UnknownParticipant, load, named_participants
from libs.messaging.saga.participant import Participant

log = structlog.get_logger(__name__)

PROJECT = Path(__file__).parents[2] / "pyproject.toml"


def participants(own: Participant) -> list[Participant]:
    """`own` and every other participant the project names; only `own` where they cannot be had."""
    try:
        found = load(named_participants([], PROJECT))
    except UnknownParticipant as error:
        log.warning("peers unknown", reason=str(error))
        found = []
    return [own, *(peer for peer in found if peer.name != own.name)]


def expected_queues(own: Participant) -> dict[str, list[str]]:
    """The queues that must be there before an event of ours goes out, by event type."""
    reactions = [reaction for peer in participants(own) for reaction in peer.reacts_to]
    return {
        event.type: [each.queue for each in reactions if each.event_type == event.type]
        for event in own.publishes
    }
