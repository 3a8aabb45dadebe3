"""The view of a purchase shows how far it came, and each event in the lane of its service."""

from datetime import UTC, datetime, timedelta

import pytest

from libs.kernel.events import Direction
from libs.messaging.saga.choreography import read
from libs.runtime.settings import CHOREOGRAPHY
from services.portal.domain.timeline import STATE_AFTER, Moment
from services.portal.infrastructure.consumers import OF_A_PAYOUT, OF_A_PURCHASE
from services.portal.infrastructure.web import purchase_view, wording
from services.portal.infrastructure.web.purchase_view import lanes

START = datetime(2026, 11, 22, 12, tzinfo=UTC)


def moment(position: int, service: str, event: str, ms: int) -> Moment:
    at = START + timedelta(milliseconds=ms)
    event_type = f"{event}.v1"
    goes_back = event_type in read(CHOREOGRAPHY).compensations
    direction = Direction.COMPENSATION if goes_back else Direction.FORWARD
    return Moment(position, service, event_type, direction, at, ms, {})


def marks(state: str, *consumed: str) -> list[str]:
    return [step.mark for step in purchase_view.steps(state, consumed)]


def test_steps_are_done_up_to_where_orders_says_it_is() -> None:
    assert marks("REQUESTED") == ["done", "now", "", "", "", "", ""]
    assert marks("AWAITING_PAYMENT") == ["done"] * 4 + ["now", "", ""]
    assert marks("CLOSED") == ["done"] * 7


@pytest.mark.parametrize("state", ["COMPENSATING", "FAILED", "CANCELLED", "GIVEN_UP"])
def test_during_compensation_the_steps_that_were_made_are_shown_as_undone(state: str) -> None:
    assert marks(state, "order.confirmed", "credit.reserved") == ["undone"] * 2 + [""] * 5


def test_events_stand_in_the_order_they_happened_whatever_order_they_were_consumed_in() -> None:
    moments = [
        moment(1, "customers", "credit.reserved", 20),
        moment(2, "orders", "order.confirmed", 0),
        moment(3, "payments", "payment.code_generated", 40),
        moment(4, "payments", "payment.failed", 60),
    ]
    shown = purchase_view.events(moments, seen=3)
    assert [event.lane for event in shown] == [1, 2, 4, 4]
    assert [event.before for event in shown] == [1, 1, 2, 4]
    assert [event.tone for event in shown] == ["go", "go", "wait", "back"]
    assert [event.is_new for event in shown] == [False, False, False, True]


def test_every_event_of_a_purchase_has_a_lane_and_a_name_for_people() -> None:
    publisher = {
        event.type: each.name
        for each in read(CHOREOGRAPHY).participants
        for event in each.publishes
    }
    for event_type in (*OF_A_PURCHASE, *OF_A_PAYOUT):
        assert publisher[event_type] in lanes()
        assert wording.event_name(event_type) != event_type.rpartition(".v")[0]


def test_every_state_has_a_name_for_people() -> None:
    own = {state.value for state in STATE_AFTER.values()}
    for state in {*purchase_view.STATES_AFTER, *purchase_view.RESTING, *own}:
        assert state in wording.STATES
