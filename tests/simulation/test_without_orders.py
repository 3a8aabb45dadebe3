"""While orders consumes nothing, purchases under way go on; nobody waits for a coordinator."""

from libs.messaging.saga.reactions import Step
from services.orders.infrastructure.consumers import participant
from tests.documents.stories import play

QUEUES = frozenset(reaction.queue for reaction in participant().reactions.by_event.values())


def test_a_purchase_is_sold_while_orders_consumes_nothing() -> None:
    story = play("sold", stalled=QUEUES)

    assert story.state == "REQUESTED"
    assert [event.type for event in story.events] == [
        "order.confirmed.v1",
        "credit.reserved.v1",
        "vehicle.reserved.v1",
        "payment.code_generated.v1",
        "payment.processed.v1",
        "vehicle.sold.v1",
    ]


def test_credit_is_given_back_while_orders_consumes_nothing() -> None:
    story = play("code not paid in time", stalled=QUEUES)

    assert story.state == "REQUESTED"
    assert story.events[-1].type == "credit.released.v1"


def test_without_what_customers_consumes_no_purchase_moves() -> None:
    story = play("sold", stalled=frozenset({"customers.on.order.confirmed.v1"}))

    assert [event.type for event in story.events] == ["order.confirmed.v1"]
    assert (("customers", Step.FORWARD)) in story.events[0].steps
