"""Each rule of a purchase holds by itself."""

from dataclasses import replace
from datetime import timedelta

import pytest

from services.orders.domain.errors import (
    OrderAlreadyClosed,
    PurchaseAlreadyFailed,
    PurchaseNotCompleted,
)
from services.orders.domain.events import OrderCancelled, OrderCompleted, OrderFailed
from services.orders.domain.states import ENDED, FORWARD, State
from tests.unit.orders.purchases import DEADLINES, NOW, SELLER, fact, in_state, requested

BEFORE_COMPLETED = FORWARD[:-1]


def test_a_requested_purchase_publishes_order_confirmed_and_waits_from_the_databases_now() -> None:
    purchase = requested()
    assert purchase.state is State.REQUESTED
    assert [each.type for each in purchase.history] == ["order.confirmed.v1"]
    assert purchase.due == DEADLINES.before_code


@pytest.mark.parametrize("reached", FORWARD)
@pytest.mark.parametrize("consumed", FORWARD[1:-1])
def test_a_forward_event_only_raises_the_state(reached: State, consumed: State) -> None:
    purchase = in_state(reached)
    purchase.reach(consumed, fact("payment.processed.v1"))
    assert purchase.state is max(reached, consumed, key=FORWARD.index)


@pytest.mark.parametrize("state", [State.COMPENSATING, *sorted(ENDED)])
def test_a_forward_event_changes_nothing_once_compensation_has_begun_or_ended(state: State) -> None:
    purchase = in_state(state)
    purchase.reach(State.PAID, fact("payment.processed.v1"))
    assert purchase.complete(SELLER, fact("vehicle.sold.v1"), NOW) == []
    assert purchase.state is state


@pytest.mark.parametrize("reached", BEFORE_COMPLETED)
def test_a_sold_vehicle_completes_the_purchase_whatever_was_consumed_before(reached: State) -> None:
    purchase = in_state(reached)
    (event,) = purchase.complete(SELLER, fact("vehicle.sold.v1"), NOW)
    assert isinstance(event, OrderCompleted)
    assert (event.seller_id, event.sequence) == (SELLER, 2)
    assert (purchase.state, purchase.due) == (State.COMPLETED, None)


@pytest.mark.parametrize("reached", FORWARD)
def test_a_failure_turns_the_purchase_round_and_its_reason_stays(reached: State) -> None:
    purchase = in_state(reached)
    purchase.turn_back("declined", fact("payment.failed.v1"))
    purchase.turn_back("later", fact("vehicle.sale_failed.v1"))
    assert (purchase.state, purchase.reason) == (State.COMPENSATING, "declined")
    assert purchase.due == DEADLINES.compensating


@pytest.mark.parametrize("state", [*FORWARD, State.COMPENSATING])
@pytest.mark.parametrize("cancelled", [True, False])
def test_released_credit_ends_the_purchase_as_cancelled_or_failed(
    state: State, cancelled: bool
) -> None:
    purchase = in_state(state)
    purchase.cancelled_by_buyer = cancelled
    (event,) = purchase.end("no credit", fact("credit.released.v1"), NOW)
    assert isinstance(event, OrderCancelled if cancelled else OrderFailed)
    assert event.reason == "no credit"
    assert purchase.state is (State.CANCELLED if cancelled else State.FAILED)
    assert purchase.due is None


@pytest.mark.parametrize("state", sorted(ENDED))
def test_nothing_leaves_an_end(state: State) -> None:
    purchase = in_state(state)
    purchase.turn_back(None, fact("vehicle.released.v1"))
    assert purchase.end(None, fact("credit.released.v1"), NOW) == []
    assert purchase.state is state


def test_a_reason_that_arrives_after_the_end_is_still_shown() -> None:
    purchase = requested()
    purchase.end(None, fact("credit.released.v1"), NOW)
    purchase.turn_back("price_changed", fact("vehicle.reservation_failed.v1"))
    assert (purchase.state, purchase.reason) == (State.FAILED, "price_changed")


@pytest.mark.parametrize("reached", FORWARD)
def test_cancelling_turns_the_purchase_round_and_asks_payments(reached: State) -> None:
    purchase = in_state(reached)
    (event,) = purchase.cancel(NOW)
    assert event.type == "order.cancellation_requested.v1"
    assert (purchase.state, purchase.reason) == (State.COMPENSATING, "cancelled_by_buyer")
    assert purchase.cancel(NOW) == []


def test_cancelling_during_compensation_only_decides_how_it_ends() -> None:
    purchase = requested()
    purchase.turn_back("declined", fact("payment.failed.v1"))
    assert purchase.cancel(NOW) == []
    (event,) = purchase.end(None, fact("credit.released.v1"), NOW)
    assert isinstance(event, OrderCancelled)
    assert event.reason == "declined"


def test_cancelling_is_refused_once_closed_or_failed_and_repeated_once_cancelled() -> None:
    with pytest.raises(OrderAlreadyClosed):
        in_state(State.CLOSED).cancel(NOW)
    with pytest.raises(PurchaseAlreadyFailed):
        in_state(State.FAILED).cancel(NOW)
    purchase = requested()
    purchase.cancel(NOW)
    purchase.end(None, fact("credit.released.v1"), NOW)
    assert purchase.cancel(NOW) == []


@pytest.mark.parametrize("reached", BEFORE_COMPLETED)
def test_a_passed_deadline_starts_the_compensation_and_ends_failed(reached: State) -> None:
    purchase = in_state(reached)
    (event,) = purchase.run_out_of_time(NOW)
    assert event.type == "order.cancellation_requested.v1"
    assert purchase.state is State.COMPENSATING
    (end,) = purchase.end(None, fact("credit.released.v1"), NOW)
    assert isinstance(end, OrderFailed)
    assert end.reason == "deadline_passed"


def test_a_purchase_the_buyer_cancels_after_its_deadline_ends_cancelled() -> None:
    purchase = requested()
    purchase.run_out_of_time(NOW)
    assert purchase.cancel(NOW) == []
    (end,) = purchase.end(None, fact("credit.released.v1"), NOW)
    assert isinstance(end, OrderCancelled)


def test_a_compensation_has_no_deadline_only_a_time_to_check_again() -> None:
    purchase = in_state(State.COMPENSATING)
    assert purchase.run_out_of_time(NOW) == []
    assert (purchase.state, purchase.due) == (State.COMPENSATING, DEADLINES.compensating)


def test_the_deadline_follows_the_code_and_then_the_payment() -> None:
    purchase = requested()
    expires = NOW + timedelta(minutes=30)
    purchase.receive_code("MV-1", expires, fact("payment.code_generated.v1"))
    assert purchase.due == expires + timedelta(minutes=15)
    purchase.reach(State.PAID, fact("payment.processed.v1", 2))
    assert purchase.due == timedelta(hours=24)


def test_reserving_does_not_move_the_deadline() -> None:
    purchase = requested()
    purchase.due = NOW
    purchase.reach(State.CREDIT_RESERVED, fact("credit.reserved.v1"))
    purchase.reach(State.VEHICLE_RESERVED, fact("vehicle.reserved.v1"))
    assert purchase.due == NOW


def test_a_code_consumed_after_the_payment_is_kept_and_the_state_stays() -> None:
    purchase = in_state(State.PAID)
    purchase.receive_code("MV-1", NOW, fact("payment.code_generated.v1"))
    assert (purchase.state, purchase.payment_code) == (State.PAID, "MV-1")


@pytest.mark.parametrize("state", [each for each in State if each is not State.COMPLETED])
def test_only_a_completed_purchase_closes(state: State) -> None:
    with pytest.raises(PurchaseNotCompleted, match=state):
        in_state(state).close(NOW)


def test_a_person_is_needed_while_the_last_word_of_payments_is_a_failed_refund() -> None:
    purchase = in_state(State.COMPENSATING)
    purchase.note(fact("payment.refund_failed.v1", 3))
    assert purchase.needs_attention
    purchase.note(fact("payment.refunded.v1", 4))
    assert not purchase.needs_attention


def test_a_person_is_needed_until_the_seller_who_could_not_be_paid_is() -> None:
    purchase = in_state(State.CLOSED)
    purchase.note(fact("payout.failed.v1", 1))
    assert purchase.needs_attention
    purchase.note(fact("payout.completed.v1", 2))
    assert not purchase.needs_attention
    assert purchase.state is State.CLOSED


def test_an_older_refund_failure_never_overwrites_the_refund() -> None:
    purchase = in_state(State.COMPENSATING)
    purchase.turn_back(None, fact("payment.refunded.v1", 4))
    purchase.note(fact("payment.refund_failed.v1", 3))
    assert not purchase.needs_attention


def test_an_event_consumed_twice_stands_once_in_the_history() -> None:
    purchase = requested()
    consumed = fact("credit.reserved.v1")
    for again in (consumed, replace(consumed, time=NOW + timedelta(seconds=1))):
        purchase.reach(State.CREDIT_RESERVED, again)
    assert [each.type for each in purchase.history] == ["order.confirmed.v1", "credit.reserved.v1"]
