"""The events of an order's payout and of a manual payout can be distinguished by their fields."""

import pytest

from libs.kernel.events import DomainEvent
from services.payouts.domain.payout import OF_AN_ORDER
from services.payouts.infrastructure.consumers import participant
from tests.contracts.samples import read_sample, written_today

PUBLISHED = pytest.mark.parametrize(
    "event_type", participant().publishes, ids=lambda event: event.type
)


@PUBLISHED
def test_the_sample_is_of_a_payout_of_an_order(event_type: type[DomainEvent]) -> None:
    sample = read_sample(event_type.type)
    assert sample["data"]["external_id"] == OF_AN_ORDER + sample["subject"]


@PUBLISHED
def test_event_of_a_payout_by_hand_is_of_no_purchase(event_type: type[DomainEvent]) -> None:
    sample = read_sample(event_type.type)
    sample["data"] |= {"external_id": "bonus-1", "order_id": None, "seller_id": None}
    envelope = written_today(event_type, sample)
    assert envelope["subject"] == sample["data"]["payout_id"]
    assert envelope["data"]["order_id"] is None
    assert "correlationid" not in envelope


def test_the_view_of_a_completed_order_has_the_seller() -> None:
    (reaction,) = participant().reacts_to
    data = reaction.data_model.model_validate(read_sample(reaction.event_type)["data"])
    assert data.seller_id is not None  # type: ignore[attr-defined]
