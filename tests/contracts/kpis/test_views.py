"""This service's views read the samples that the peers publish."""

from pathlib import Path
from typing import Any

import pytest

from libs.messaging.envelope import Received
from libs.messaging.inbox.reactions import Reaction
from services.kpis.infrastructure.consumers import participant

HERE = Path(__file__).parent


@pytest.mark.parametrize("reaction", participant().reacts_to, ids=lambda each: each.event_type)
def test_view_of_a_peers_event_reads_the_peers_sample(reaction: Reaction[Any]) -> None:
    (sample,) = HERE.parent.glob(f"*/{reaction.event_type}.json")
    received: Any = Received[reaction.data_model]  # type: ignore[name-defined]
    event = received.model_validate_json(sample.read_bytes())
    assert event.type == reaction.event_type
