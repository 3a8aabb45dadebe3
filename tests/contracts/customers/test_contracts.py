"""Events match the samples published here, and the views of peers read the peers' samples."""

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
from services.customers.infrastructure.consumers import participant

HERE = Path(__file__).parent


@pytest.mark.parametrize("event_type", participant().publishes, ids=lambda event: event.type)
def test_an_event_of_today_is_written_as_its_sample(event_type: type[DomainEvent]) -> None:
    sample = json.loads((HERE / f"{event_type.type}.json").read_bytes())
    fields = {**sample["data"], "sequence": sample["sequence"]}
    written = encode(
        TypeAdapter(event_type).validate_python(fields),
        event_id=UUID(sample["id"]),
        source="customers",
        time=datetime.fromisoformat(sample["time"]),
        cause=sample["causationid"],
        traceparent=sample["traceparent"],
    )
    assert json.loads(written) == sample


def test_every_sample_here_is_of_an_event_that_is_stated() -> None:
    stated = {event.type for event in participant().publishes}
    assert {path.stem for path in HERE.glob("*.json")} == stated


@pytest.mark.parametrize("reaction", participant().reacts_to, ids=lambda each: each.event_type)
def test_the_view_of_a_peers_event_reads_the_peers_sample(reaction: Reaction[Any]) -> None:
    (sample,) = HERE.parent.glob(f"*/{reaction.event_type}.json")
    received: Any = Received[reaction.data_model]  # type: ignore[name-defined]
    event = received.model_validate_json(sample.read_bytes())
    assert event.type == reaction.event_type
    assert event.data.order_id == UUID(event.subject)
