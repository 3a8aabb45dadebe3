"""An order is drafted, confirmed and closed by its client, and each write raises its version."""

from uuid import UUID

import pytest

from libs.kernel.errors import StaleVersion
from services.orders.domain.errors import (
    IncompletePurchase,
    OrderAlreadyClosed,
    OrderNotConfirmed,
    OrderNotDraft,
    PurchaseNotCompleted,
    PurchaseNotFound,
)
from services.orders.domain.events import OrderClosed
from services.orders.domain.order import Order
from services.orders.domain.states import State, Status
from tests.unit.orders.purchases import CUSTOMER, DEADLINES, NOW, ORDER, SELLER, VEHICLE, fact


def draft(customer_id: UUID | None = CUSTOMER, vehicle_id: UUID | None = VEHICLE) -> Order:
    return Order(
        id=ORDER,
        tenant_id="tenant-1",
        customer_id=customer_id,
        vehicle_id=vehicle_id,
        created_at=NOW,
    )


def test_confirming_with_customer_and_vehicle_starts_the_purchase() -> None:
    order = draft()
    (event,) = order.confirm(5000, NOW, DEADLINES)
    assert event.type == "order.confirmed.v1"
    assert (order.status, order.version, order.price_cents) == (Status.CONFIRMED, 2, 5000)
    assert order.purchase is not None
    assert order.purchase.state is State.REQUESTED


def test_an_order_without_customer_and_vehicle_starts_no_purchase_and_closes() -> None:
    order = draft(None, None)
    assert order.confirm(5000, NOW, DEADLINES) == []
    assert order.purchase is None
    (event,) = order.close(NOW)
    assert isinstance(event, OrderClosed)
    assert (event.seller_id, event.vehicle_id, event.total_cents) == (None, None, 5000)
    assert (order.status, order.version) == (Status.CLOSED, 3)


@pytest.mark.parametrize(("customer", "vehicle"), [(CUSTOMER, None), (None, VEHICLE)])
def test_a_customer_without_a_vehicle_or_the_reverse_is_refused(
    customer: UUID | None, vehicle: UUID | None
) -> None:
    with pytest.raises(IncompletePurchase):
        draft(customer, vehicle)


def test_an_order_is_confirmed_once_and_closed_once() -> None:
    order = draft(None, None)
    with pytest.raises(OrderNotConfirmed):
        order.close(NOW)
    order.confirm(1, NOW, DEADLINES)
    with pytest.raises(OrderNotDraft):
        order.confirm(1, NOW, DEADLINES)
    order.close(NOW)
    with pytest.raises(OrderAlreadyClosed):
        order.close(NOW)


def test_an_order_with_a_purchase_closes_only_once_that_is_completed() -> None:
    order = draft()
    order.confirm(5000, NOW, DEADLINES)
    assert order.purchase is not None
    with pytest.raises(PurchaseNotCompleted):
        order.close(NOW)
    assert (order.status, order.version) == (Status.CONFIRMED, 2)
    order.purchase.complete(SELLER, fact("vehicle.sold.v1"), NOW)
    (event,) = order.close(NOW)
    assert isinstance(event, OrderClosed)
    assert (event.seller_id, event.sequence) == (SELLER, 3)
    assert order.purchase.state is State.CLOSED


def test_only_the_clients_writes_raise_the_version() -> None:
    order = draft()
    order.confirm(5000, NOW, DEADLINES)
    assert order.purchase is not None
    order.purchase.reach(State.CREDIT_RESERVED, fact("credit.reserved.v1"))
    order.purchase.complete(SELLER, fact("vehicle.sold.v1"), NOW)
    assert order.version == 2
    order.cancel(NOW)
    order.cancel(NOW)
    assert order.version == 3


def test_an_order_that_started_no_purchase_cannot_be_cancelled() -> None:
    with pytest.raises(PurchaseNotFound):
        draft().cancel(NOW)


def test_a_version_other_than_the_current_one_is_stale() -> None:
    draft().check_version(1)
    draft().check_version(None)
    with pytest.raises(StaleVersion):
        draft().check_version(2)


def test_a_lost_order_is_recovered_as_a_purchase_that_ends() -> None:
    order = draft()
    (event,) = order.end_lost(5000, NOW, DEADLINES)
    assert (event.type, event.sequence) == ("order.cancellation_requested.v1", 2)
    assert (order.status, order.price_cents) == (Status.CONFIRMED, 5000)
    assert order.purchase is not None
    assert (order.purchase.state, order.purchase.reason) == (State.COMPENSATING, "purchase_lost")


def test_an_order_without_a_purchase_is_not_recovered() -> None:
    with pytest.raises(PurchaseNotFound):
        draft(None, None).end_lost(5000, NOW, DEADLINES)
