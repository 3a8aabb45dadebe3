"""Published events match their samples, and every consumer can read its peers' samples.

A published event never loses or renames a field: such a change is a new version beside the old one.
`released/` keeps each version as it was published first. Its files are never changed.
"""

import json
from importlib import import_module
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from deploy.services import SERVICES
from libs.kernel.events import DomainEvent
from libs.messaging.envelope import Received
from libs.messaging.saga.participant import Participant
from libs.messaging.saga.reactions import Reaction
from tests.contracts.samples import FOLDER, read_sample, sample_of, written_today

PARTICIPANTS: list[Participant] = [
    import_module(f"services.{spec.name}.infrastructure.consumers").participant()
    for spec in SERVICES
]
PUBLISHED = [
    pytest.param(each.name, event, id=event.type)
    for each in PARTICIPANTS
    for event in each.publishes
]
EVENTS = {event.type: event for each in PARTICIPANTS for event in each.publishes}
RELEASED = sorted((FOLDER / "released").glob("*.json"))
CONSUMED = [
    pytest.param(reaction, id=reaction.queue)
    for each in PARTICIPANTS
    for reaction in each.reacts_to
]


@pytest.mark.parametrize(("service", "event_type"), PUBLISHED)
def test_an_event_of_today_is_written_as_its_sample(
    service: str, event_type: type[DomainEvent]
) -> None:
    sample = read_sample(event_type.type)

    assert sample["source"] == sample_of(event_type.type).parent.name == service
    assert written_today(event_type, sample) == sample, (
        f"{event_type.type} is not written as its sample. With a new field that has a default the"
        " sample gets it; any other change is a new version of the event"
    )


@pytest.mark.parametrize("participant", PARTICIPANTS, ids=lambda each: each.name)
def test_every_sample_is_of_an_event_that_is_published(participant: Participant) -> None:
    samples = {path.stem for path in (FOLDER / participant.name).glob("*.json")}
    assert samples == {event.type for event in participant.publishes}


@pytest.mark.parametrize("reaction", CONSUMED)
def test_the_view_of_a_peers_event_reads_the_peers_sample(reaction: Reaction[Any]) -> None:
    received: Any = Received[reaction.data_model]  # type: ignore[name-defined]

    event = received.model_validate_json(sample_of(reaction.event_type).read_bytes())

    assert (event.type, event.source) == (
        reaction.event_type,
        sample_of(reaction.event_type).parent.name,
    )
    if "order_id" in type(event.data).model_fields:
        assert event.data.order_id == UUID(event.subject)


@pytest.mark.parametrize("released", RELEASED, ids=lambda each: each.stem)
def test_a_released_event_keeps_its_fields_and_is_read_by_every_consumer(released: Path) -> None:
    """Queues and archives hold events of earlier releases, and earlier consumers read new ones."""
    sample = json.loads(released.read_bytes())
    kept = sample["data"]

    now = written_today(EVENTS[released.stem], sample)["data"]

    lost = {name for name in kept if name not in now or now[name] != kept[name]}
    assert not lost, (
        f"{released.stem} has lost or changed {', '.join(sorted(lost))}, which former consumers"
        " read: publish a new version of the event beside this one"
    )
    for each in PARTICIPANTS:
        for reaction in each.reacts_to:
            if reaction.event_type == released.stem:
                received: Any = Received[reaction.data_model]  # type: ignore[name-defined]
                received.model_validate_json(released.read_bytes())
