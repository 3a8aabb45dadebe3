"""The portal consumes all events of the choreography, and shows only the details that
users may see.
"""

from typing import Any

import pytest

from libs.messaging.saga.choreography import read
from libs.messaging.saga.reactions import Reaction
from libs.runtime.settings import CHOREOGRAPHY
from services.portal.infrastructure.consumers import SHOWN, participant
from tests.contracts.samples import read_sample


@pytest.mark.parametrize("reaction", participant().reacts_to, ids=lambda each: each.event_type)
def test_details_of_an_event_are_among_what_is_shown(reaction: Reaction[Any]) -> None:
    data: Any = reaction.data_model.model_validate(read_sample(reaction.event_type)["data"])
    assert data.details().keys() <= SHOWN


def test_every_event_that_anybody_publishes_is_consumed() -> None:
    published = {event.type for each in read(CHOREOGRAPHY).participants for event in each.publishes}
    assert set(participant().reactions.by_event) == published


def test_nothing_that_is_shown_could_be_personal_or_spent() -> None:
    assert not SHOWN & {"name", "email", "phone", "document", "plate", "renavam", "code"}
