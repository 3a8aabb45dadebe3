"""The record of a purchase is right for any order and number of deliveries."""

from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

from hypothesis import given, settings
from hypothesis import strategies as st

from services.customers.application.consume_credit import consume_credit
from services.customers.application.note_order_closed import note_order_closed
from services.customers.application.release_credit import release_credit
from services.customers.application.reserve_credit import reserve_credit
from services.customers.domain.credit_reservation import ReservationState
from services.customers.domain.events import (
    CreditReleased,
    CreditReservationFailed,
    CreditReserved,
)
from services.events import PurchaseEvent
from tests.unit.customers.memory import TENANT, MemoryUnitOfWork, a_customer

CUSTOMER, VEHICLE = uuid4(), uuid4()
ORDERS = [UUID(int=number) for number in range(4)]
TOTALS = dict(zip(ORDERS, (4_000, 6_000, 10_000, 10_001), strict=True))


def a_unit_of_work() -> MemoryUnitOfWork:
    return MemoryUnitOfWork(a_customer(CUSTOMER, limit_cents=10_000))


async def confirmed(uow: MemoryUnitOfWork, order: UUID, customer: UUID = CUSTOMER) -> None:
    await reserve_credit(
        uow,
        tenant_id=TENANT,
        order_id=order,
        customer_id=customer,
        vehicle_id=VEHICLE,
        price_cents=TOTALS[order],
    )


async def completed(uow: MemoryUnitOfWork, order: UUID) -> None:
    await consume_credit(uow, order_id=order)


async def released(uow: MemoryUnitOfWork, order: UUID) -> None:
    await release_credit(uow, tenant_id=TENANT, order_id=order)


async def closed(uow: MemoryUnitOfWork, order: UUID) -> None:
    await note_order_closed(uow, order_id=order)


async def test_a_confirmed_order_within_the_credit_reserves_it() -> None:
    uow = a_unit_of_work()
    await confirmed(uow, ORDERS[0])
    assert uow.events == [
        CreditReserved(
            tenant_id=TENANT,
            sequence=1,
            order_id=ORDERS[0],
            customer_id=CUSTOMER,
            vehicle_id=VEHICLE,
            total_cents=4_000,
        )
    ]
    assert uow.customers.rows[CUSTOMER].credit.available_cents == 6_000


async def test_a_confirmed_order_above_the_credit_is_refused() -> None:
    uow = a_unit_of_work()
    await confirmed(uow, ORDERS[3])
    assert refusal(uow) == "credit_too_low"
    assert uow.reservations.rows[ORDERS[3]].state is ReservationState.REFUSED
    assert uow.customers.rows[CUSTOMER].credit.available_cents == 10_000


async def test_a_confirmed_order_of_an_unknown_customer_is_refused() -> None:
    uow = a_unit_of_work()
    await confirmed(uow, ORDERS[0], customer=uuid4())
    assert refusal(uow) == "unknown_customer"


async def test_a_completed_order_consumes_what_it_reserved() -> None:
    uow = a_unit_of_work()
    await confirmed(uow, ORDERS[0])
    await completed(uow, ORDERS[0])
    credit = uow.customers.rows[CUSTOMER].credit
    assert (credit.available_cents, credit.reserved_cents, credit.consumed_cents) == (
        6_000,
        0,
        4_000,
    )


async def test_a_release_gives_back_what_was_reserved_or_consumed() -> None:
    for steps in ([confirmed, released], [confirmed, completed, released]):
        uow = a_unit_of_work()
        for step in steps:
            await step(uow, ORDERS[0])
        assert uow.customers.rows[CUSTOMER].credit.available_cents == 10_000
        assert uow.events[-1] == CreditReleased(
            tenant_id=TENANT, sequence=2, order_id=ORDERS[0], customer_id=CUSTOMER
        )


async def test_a_release_before_the_reservation_leaves_a_tombstone() -> None:
    uow = a_unit_of_work()
    await released(uow, ORDERS[0])
    await confirmed(uow, ORDERS[0])
    assert uow.events == [
        CreditReleased(tenant_id=TENANT, sequence=1, order_id=ORDERS[0], customer_id=None)
    ]
    assert uow.customers.rows[CUSTOMER].credit.available_cents == 10_000


async def test_a_refused_purchase_is_not_released() -> None:
    uow = a_unit_of_work()
    await confirmed(uow, ORDERS[3])
    await released(uow, ORDERS[3])
    assert [type(event) for event in uow.events] == [CreditReservationFailed]


Step = Callable[[MemoryUnitOfWork, UUID], Awaitable[None]]
STEPS: list[Step] = [confirmed, completed, released, closed]
DELIVERIES = st.lists(st.tuples(st.sampled_from(STEPS), st.sampled_from(ORDERS)), max_size=30)


@settings(deadline=None)
@given(DELIVERIES)
async def test_the_credit_adds_up_after_any_deliveries(
    deliveries: list[tuple[Step, UUID]],
) -> None:
    uow = a_unit_of_work()
    for step, order in deliveries:
        await step(uow, order)
        credit = uow.customers.rows[CUSTOMER].credit
        held = [row for row in uow.reservations.rows.values() if row.holds_credit]
        assert credit.available_cents >= 0
        assert credit.in_use_cents == sum(row.price_cents for row in held)
        assert credit.limit_cents == 10_000


@settings(deadline=None)
@given(DELIVERIES)
async def test_a_purchase_publishes_its_reservation_and_its_end_at_most_once(
    deliveries: list[tuple[Step, UUID]],
) -> None:
    uow = a_unit_of_work()
    for step, order in deliveries:
        await step(uow, order)
    published = [(e.subject, type(e)) for e in uow.events if isinstance(e, PurchaseEvent)]
    assert len(published) == len(set(published))
    for order in ORDERS:
        ends = {kind for subject, kind in published if subject == order}
        assert not {CreditReleased, CreditReservationFailed} <= ends
        if (released, order) in deliveries:
            assert ends & {CreditReleased, CreditReservationFailed}
            assert not uow.reservations.rows[order].holds_credit


def refusal(uow: MemoryUnitOfWork) -> str:
    (event,) = uow.events
    assert isinstance(event, CreditReservationFailed)
    return event.reason
