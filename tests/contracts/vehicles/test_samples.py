"""Today's events match the samples published here; this service's views read the peers'."""

import json
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from pydantic import TypeAdapter

from libs.kernel.events import DomainEvent
from libs.messaging.envelope import Received, encode
from libs.messaging.inbox.reactions import Reaction
from services.events import PurchaseEvent
from services.vehicles.infrastructure.consumers import participant

SAMPLES = Path(__file__).parent
SENSITIVE = {"plate", "chassis_number", "renavam"}


@pytest.mark.parametrize("kind", participant().publishes, ids=lambda kind: kind.type)
def test_event_is_written_as_its_sample_shows(kind: type[DomainEvent]) -> None:
    sample = json.loads((SAMPLES / f"{kind.type}.json").read_bytes())
    data = sample["data"] | {"sequence": sample["sequence"]}
    written = encode(
        TypeAdapter(kind).validate_python(data),
        event_id=UUID(sample["id"]),
        source=participant().name,
        time=datetime.fromisoformat(sample["time"]),
        cause=sample["causationid"],
        traceparent=sample["traceparent"],
    )
    assert json.loads(written) == sample
    assert ("correlationid" in sample) == issubclass(kind, PurchaseEvent)
    assert not SENSITIVE & set(sample["data"])


def test_there_is_a_sample_of_each_event_and_of_nothing_else() -> None:
    published = {event.type for event in participant().publishes}
    assert {path.stem for path in SAMPLES.glob("*.json")} == published


@pytest.mark.parametrize("reaction", participant().reacts_to, ids=lambda each: each.event_type)
def test_view_reads_the_sample_of_the_peer(reaction: Reaction[Any]) -> None:
    (sample,) = SAMPLES.parent.glob(f"*/{reaction.event_type}.json")
    event = Received[reaction.data_model].model_validate_json(sample.read_bytes())  # type: ignore[name-defined]
    data: Any = event.data
    assert data.order_id == UUID(event.subject)
