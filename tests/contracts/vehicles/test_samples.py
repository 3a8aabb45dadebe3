"""Events of vehicles contain no document numbers."""

import pytest

from libs.kernel.events import DomainEvent
from services.events import PurchaseEvent
from services.vehicles.infrastructure.consumers import participant
from tests.contracts.samples import read_sample

SENSITIVE = {"plate", "chassis_number", "renavam"}


@pytest.mark.parametrize("kind", participant().publishes, ids=lambda kind: kind.type)
def test_no_document_number_is_published_and_events_of_a_purchase_have_its_id(
    kind: type[DomainEvent],
) -> None:
    sample = read_sample(kind.type)
    assert ("correlationid" in sample) == issubclass(kind, PurchaseEvent)
    assert not SENSITIVE & set(sample["data"])
