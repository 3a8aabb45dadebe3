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
from services.payments.domain.code import parse_code
from services.payments.infrastructure.consumers import participant

HERE = Path(__file__).parent
PAYMENTS = participant()


@pytest.mark.parametrize("event_type", PAYMENTS.publishes, ids=lambda event: event.type)
def test_event_of_today_is_written_as_its_sample(event_type: type[DomainEvent]) -> None:
    sample = json.loads((HERE / f"{event_type.type}.json").read_bytes())
    fields = {**sample["data"], "sequence": sample["sequence"]}
    written = encode(
        TypeAdapter(event_type).validate_python(fields),
        event_id=UUID(sample["id"]),
        source="payments",
        time=datetime.fromisoformat(sample["time"]),
        cause=sample["causationid"],
        traceparent=sample["traceparent"],
    )
    assert json.loads(written) == sample


def test_every_sample_here_is_of_an_event_that_is_stated() -> None:
    stated = {event.type for event in PAYMENTS.publishes}
    assert {path.stem for path in HERE.glob("*.json")} == stated


def test_code_of_the_sample_is_a_real_one() -> None:
    sample = json.loads((HERE / "payment.code_generated.v1.json").read_bytes())
    assert parse_code(sample["data"]["code"]) == sample["data"]["code"]


@pytest.mark.parametrize("reaction", PAYMENTS.reacts_to, ids=lambda each: each.event_type)
def test_view_of_a_peers_event_reads_the_peers_sample(reaction: Reaction[Any]) -> None:
    (sample,) = HERE.parent.glob(f"*/{reaction.event_type}.json")
    received: Any = Received[reaction.data_model]  # type: ignore[name-defined]
    event = received.model_validate_json(sample.read_bytes())
    assert event.type == reaction.event_type
    assert event.data.order_id == UUID(event.subject)
