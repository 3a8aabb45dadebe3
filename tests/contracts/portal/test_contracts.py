"""The portal's views read its peers' samples, and it consumes all events of the choreography."""

from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from libs.messaging.envelope import Received
from libs.messaging.inbox.reactions import Reaction
from libs.messaging.saga.choreography import read
from libs.runtime.settings import CHOREOGRAPHY
from services.portal.infrastructure.consumers import SHOWN, participant

HERE = Path(__file__).parent


@pytest.mark.parametrize("reaction", participant().reacts_to, ids=lambda each: each.event_type)
def test_the_view_of_a_peers_event_reads_the_peers_sample(reaction: Reaction[Any]) -> None:
    (sample,) = HERE.parent.glob(f"*/{reaction.event_type}.json")
    received: Any = Received[reaction.data_model]  # type: ignore[name-defined]
    event = received.model_validate_json(sample.read_bytes())
    assert event.type == reaction.event_type
    assert UUID(event.subject)
    assert event.data.details().keys() <= SHOWN


def test_every_event_that_anybody_states_is_heard() -> None:
    stated = {event.type for each in read(CHOREOGRAPHY).participants for event in each.publishes}
    assert set(participant().reactions.by_event) == stated


def test_nothing_that_is_shown_could_be_personal_or_spent() -> None:
    assert not SHOWN & {"name", "email", "phone", "document", "plate", "renavam", "code"}
