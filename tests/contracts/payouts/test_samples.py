"""Today's events match the samples published here; this service's view reads the peer's."""

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
from services.payouts.domain.payout import OF_AN_ORDER
from services.payouts.infrastructure.consumers import participant

HERE = Path(__file__).parent
PAYOUTS = participant()


def written(event_type: type[DomainEvent], sample: dict[str, Any]) -> dict[str, Any]:
    """The event of the sample's data as the service would write it today."""
    body = encode(
        TypeAdapter(event_type).validate_python({**sample["data"], "sequence": sample["sequence"]}),
        event_id=UUID(sample["id"]),
        source="payouts",
        time=datetime.fromisoformat(sample["time"]),
        cause=None,  # a worker states them, long after the event it all began with
        traceparent=sample["traceparent"],
    )
    envelope: dict[str, Any] = json.loads(body)
    return envelope


@pytest.mark.parametrize("event_type", PAYOUTS.publishes, ids=lambda event: event.type)
def test_event_of_today_is_written_as_its_sample(event_type: type[DomainEvent]) -> None:
    sample = json.loads((HERE / f"{event_type.type}.json").read_bytes())
    assert written(event_type, sample) == sample
    assert sample["data"]["external_id"] == OF_AN_ORDER + sample["subject"]


@pytest.mark.parametrize("event_type", PAYOUTS.publishes, ids=lambda event: event.type)
def test_event_of_a_payout_by_hand_is_of_no_purchase(event_type: type[DomainEvent]) -> None:
    sample = json.loads((HERE / f"{event_type.type}.json").read_bytes())
    sample["data"] |= {"external_id": "bonus-1", "order_id": None, "seller_id": None}
    envelope = written(event_type, sample)
    assert envelope["subject"] == sample["data"]["payout_id"]
    assert envelope["data"]["order_id"] is None
    assert "correlationid" not in envelope


def test_every_sample_here_is_of_an_event_that_is_stated() -> None:
    stated = {event.type for event in PAYOUTS.publishes}
    assert {path.stem for path in HERE.glob("*.json")} == stated


@pytest.mark.parametrize("reaction", PAYOUTS.reacts_to, ids=lambda each: each.event_type)
def test_view_of_a_peers_event_reads_the_peers_sample(reaction: Reaction[Any]) -> None:
    (sample,) = HERE.parent.glob(f"*/{reaction.event_type}.json")
    received: Any = Received[reaction.data_model]  # type: ignore[name-defined]
    event = received.model_validate_json(sample.read_bytes())
    assert event.type == reaction.event_type
    assert event.data.order_id == UUID(event.subject)
    assert event.data.seller_id is not None
