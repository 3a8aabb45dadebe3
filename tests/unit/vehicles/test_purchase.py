"""The record of a purchase keeps its rules in every order of delivery."""

import asyncio
from collections import Counter
from contextlib import suppress
from dataclasses import replace
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from services.vehicles.application.list_vehicle import list_vehicle
from services.vehicles.application.release_vehicle import release_vehicle
from services.vehicles.application.reserve_vehicle import reserve_vehicle
from services.vehicles.application.sell_vehicle import sell_vehicle
from services.vehicles.application.withdraw_vehicle import withdraw_vehicle
from services.vehicles.domain.errors import VehicleIsSold, VehicleIsWithdrawn
from services.vehicles.domain.events import (
    VehicleReleased,
    VehicleReservationFailed,
    VehicleReserved,
    VehicleSaleFailed,
    VehicleSold,
)
from services.vehicles.domain.reservation import State
from services.vehicles.domain.vehicle import Vehicle
from tests.unit.vehicles.memory import MemoryUnitOfWork
from tests.unit.vehicles.samples import (
    DETAILS,
    PRICE_CENTS,
    SELLER,
    TENANT,
    new_papers,
    purchase_of,
    vehicle,
)


@pytest.fixture
def uow() -> MemoryUnitOfWork:
    return MemoryUnitOfWork()


async def on_market(uow: MemoryUnitOfWork, tenant_id: str = TENANT) -> Vehicle:
    listed = vehicle(tenant_id)
    await uow.vehicles.add(listed, new_papers())
    return listed


def stored(uow: MemoryUnitOfWork, vehicle: Vehicle) -> Vehicle:
    return uow.vehicles.by_id[vehicle.id].vehicle


def state(uow: MemoryUnitOfWork, order_id: UUID) -> State:
    return uow.reservations.by_order[order_id].state


async def test_vehicle_for_sale_at_its_price_is_reserved(uow: MemoryUnitOfWork) -> None:
    wanted = await on_market(uow)
    purchase = purchase_of(wanted)
    await reserve_vehicle(uow, purchase=purchase)
    assert uow.published == [
        VehicleReserved(
            tenant_id=TENANT,
            sequence=1,
            order_id=purchase.order_id,
            customer_id=purchase.customer_id,
            vehicle_id=wanted.id,
            total_cents=PRICE_CENTS,
            seller_id=SELLER,
            price_cents=PRICE_CENTS,
            make=DETAILS.make,
            model=DETAILS.model,
        )
    ]
    assert stored(uow, wanted).is_reserved
    assert stored(uow, wanted).version == 2


async def refusal(uow: MemoryUnitOfWork, wanted: Vehicle, total_cents: int = PRICE_CENTS) -> str:
    purchase = purchase_of(wanted, total_cents)
    await reserve_vehicle(uow, purchase=purchase)
    event = uow.published[-1]
    assert isinstance(event, VehicleReservationFailed)
    assert state(uow, purchase.order_id) is State.REFUSED
    return event.reason


async def test_vehicle_reserved_already_is_refused_to_the_next_buyer(uow: MemoryUnitOfWork) -> None:
    wanted = await on_market(uow)
    await reserve_vehicle(uow, purchase=purchase_of(wanted))
    assert await refusal(uow, wanted) == "vehicle_not_for_sale"


@pytest.mark.parametrize("flag", ["is_sold", "withdrawn"])
async def test_vehicle_off_the_market_is_refused(uow: MemoryUnitOfWork, flag: str) -> None:
    wanted = await on_market(uow)
    setattr(stored(uow, wanted), flag, True)
    assert await refusal(uow, wanted) == "vehicle_not_for_sale"


async def test_unknown_vehicle_is_refused(uow: MemoryUnitOfWork) -> None:
    assert await refusal(uow, vehicle()) == "vehicle_not_found"


async def test_vehicle_of_another_tenant_is_refused_as_unknown(uow: MemoryUnitOfWork) -> None:
    wanted = await on_market(uow, tenant_id="another")
    assert await refusal(uow, wanted) == "vehicle_not_found"
    assert not stored(uow, wanted).is_reserved


async def test_purchase_at_another_price_is_refused(uow: MemoryUnitOfWork) -> None:
    wanted = await on_market(uow)
    assert await refusal(uow, wanted, PRICE_CENTS - 1) == "price_changed"


async def test_paid_reservation_is_sold(uow: MemoryUnitOfWork) -> None:
    wanted = await on_market(uow)
    purchase = purchase_of(wanted)
    await reserve_vehicle(uow, purchase=purchase)
    await sell_vehicle(uow, order_id=purchase.order_id)
    assert uow.published[1:] == [
        VehicleSold(
            tenant_id=TENANT,
            sequence=2,
            order_id=purchase.order_id,
            vehicle_id=wanted.id,
            seller_id=SELLER,
            total_cents=PRICE_CENTS,
        )
    ]
    assert stored(uow, wanted).is_sold
    assert not stored(uow, wanted).is_reserved


async def test_sale_fails_where_the_vehicle_was_withdrawn_meanwhile(uow: MemoryUnitOfWork) -> None:
    wanted = await on_market(uow)
    purchase = purchase_of(wanted)
    await reserve_vehicle(uow, purchase=purchase)
    await withdraw_vehicle(
        uow, tenant_id=TENANT, vehicle_id=wanted.id, version=None, acting_seller=None
    )
    await sell_vehicle(uow, order_id=purchase.order_id)
    event = uow.published[-1]
    assert isinstance(event, VehicleSaleFailed)
    assert event.reason == "vehicle_withdrawn"
    await release_vehicle(
        uow, order_id=purchase.order_id, tenant_id=TENANT, reason="payment_refunded"
    )
    assert state(uow, purchase.order_id) is State.RELEASED
    assert not stored(uow, wanted).is_for_sale


async def test_payment_without_a_record_does_nothing(uow: MemoryUnitOfWork) -> None:
    await sell_vehicle(uow, order_id=purchase_of(vehicle()).order_id)
    assert not uow.published
    assert not uow.reservations.by_order


@pytest.mark.parametrize("paid", [False, True])
async def test_released_vehicle_is_for_sale_again(uow: MemoryUnitOfWork, paid: bool) -> None:
    wanted = await on_market(uow)
    purchase = purchase_of(wanted)
    await reserve_vehicle(uow, purchase=purchase)
    if paid:
        await sell_vehicle(uow, order_id=purchase.order_id)
    await release_vehicle(
        uow, order_id=purchase.order_id, tenant_id=TENANT, reason="payment_refunded"
    )
    event = uow.published[-1]
    assert isinstance(event, VehicleReleased)
    assert (event.reason, event.vehicle_id) == ("payment_refunded", wanted.id)
    assert stored(uow, wanted).is_for_sale


async def test_refused_purchase_has_nothing_to_release(uow: MemoryUnitOfWork) -> None:
    purchase = purchase_of(vehicle())
    await reserve_vehicle(uow, purchase=purchase)
    await release_vehicle(
        uow, order_id=purchase.order_id, tenant_id=TENANT, reason="payment_voided"
    )
    assert [type(event) for event in uow.published] == [VehicleReservationFailed]


async def test_release_that_comes_first_leaves_a_tombstone_that_stops_the_reservation(
    uow: MemoryUnitOfWork,
) -> None:
    wanted = await on_market(uow)
    purchase = purchase_of(wanted)
    await release_vehicle(
        uow, order_id=purchase.order_id, tenant_id=TENANT, reason="payment_voided"
    )
    await reserve_vehicle(uow, purchase=purchase)
    await sell_vehicle(uow, order_id=purchase.order_id)
    assert uow.published == [
        VehicleReleased(
            tenant_id=TENANT,
            sequence=1,
            order_id=purchase.order_id,
            vehicle_id=None,
            reason="payment_voided",
        )
    ]
    assert stored(uow, wanted).is_for_sale


async def test_vehicle_its_buyer_lists_anew_is_not_for_sale_twice_when_the_sale_is_undone(
    uow: MemoryUnitOfWork,
) -> None:
    wanted = await on_market(uow)
    purchase = purchase_of(wanted)
    await reserve_vehicle(uow, purchase=purchase)
    await sell_vehicle(uow, order_id=purchase.order_id)
    papers = uow.vehicles.by_id[wanted.id].papers
    again = vehicle()
    await list_vehicle(
        uow,
        vehicle_id=again.id,
        tenant_id=TENANT,
        seller_id=SELLER,
        details=replace(DETAILS, price_cents=1),
        papers=papers,
        acting_seller=None,
    )
    await release_vehicle(
        uow, order_id=purchase.order_id, tenant_id=TENANT, reason="payment_refunded"
    )
    assert stored(uow, wanted).withdrawn
    assert stored(uow, again).is_for_sale


STEPS = st.sampled_from(["reserve", "sell", "release", "withdraw"])
ENDS = {
    (VehicleReservationFailed,): State.REFUSED,
    (VehicleReserved,): State.RESERVED,
    (VehicleReserved, VehicleSold): State.SOLD,
    (VehicleReserved, VehicleSaleFailed): State.SALE_FAILED,
    (VehicleReserved, VehicleReleased): State.RELEASED,
    (VehicleReserved, VehicleSold, VehicleReleased): State.RELEASED,
    (VehicleReserved, VehicleSaleFailed, VehicleReleased): State.RELEASED,
    (VehicleReleased,): State.RELEASED,
}


async def play(steps: list[tuple[str, int]]) -> None:
    """Run any reaction of three purchases of one vehicle, in any order, any number of times."""
    uow = MemoryUnitOfWork()
    wanted = await on_market(uow)
    purchases = [purchase_of(wanted) for _ in range(3)]
    for step, buyer in steps:
        purchase = purchases[buyer]
        if step == "reserve":
            await reserve_vehicle(uow, purchase=purchase)
        elif step == "sell":
            await sell_vehicle(uow, order_id=purchase.order_id)
        elif step == "release":
            await release_vehicle(
                uow, order_id=purchase.order_id, tenant_id=TENANT, reason="payment_voided"
            )
        else:
            with suppress(VehicleIsSold, VehicleIsWithdrawn):
                await withdraw_vehicle(
                    uow,
                    tenant_id=TENANT,
                    vehicle_id=wanted.id,
                    version=None,
                    acting_seller=None,
                )
        check(uow, wanted)


def check(uow: MemoryUnitOfWork, wanted: Vehicle) -> None:
    states = Counter(record.state for record in uow.reservations.by_order.values())
    assert states[State.RESERVED] + states[State.SOLD] <= 1
    assert stored(uow, wanted).is_reserved == bool(states[State.RESERVED])
    assert stored(uow, wanted).is_sold == bool(states[State.SOLD])
    for order_id, record in uow.reservations.by_order.items():
        told = [event for event in uow.published if event.subject == order_id]
        assert ENDS[tuple(type(event) for event in told)] is record.state
        assert [event.sequence for event in told] == list(range(1, record.sequence + 1))


@given(st.lists(st.tuples(STEPS, st.integers(0, 2)), max_size=30))
def test_any_order_and_duplication_of_reactions_leaves_records_and_vehicle_in_step(
    steps: list[tuple[str, int]],
) -> None:
    asyncio.run(play(steps))
