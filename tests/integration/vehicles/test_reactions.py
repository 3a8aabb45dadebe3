"""The reactions write record, vehicle and outbox in one transaction, also when they
run concurrently.
"""

import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import event
from sqlalchemy.exc import IntegrityError

from libs.kernel.ids import uuid7
from services.vehicles.application.release_vehicle import release_vehicle
from services.vehicles.infrastructure.consumers import participant
from services.vehicles.infrastructure.postgres import PostgresVehiclesUnitOfWork
from tests.integration.vehicles.conftest import Vehicles

RELEASES = {
    "payment.code_generation_failed.v1": "no_code",
    "payment.failed.v1": "declined",
    "payment.expired.v1": "payment_expired",
    "payment.voided.v1": "payment_voided",
    "payment.refunded.v1": "payment_refunded",
}


async def release(vehicles: Vehicles, order_id: Any, event_type: str = "payment.voided.v1") -> None:
    await vehicles.consumes(event_type, order_id=order_id, reason=RELEASES[event_type])


async def test_purchase_ends_with_its_vehicle_sold(vehicles: Vehicles) -> None:
    listed = await vehicles.listed()
    order_id = await vehicles.consumes_credit_reserved(listed)
    assert (await vehicles.get(listed["id"]))["is_reserved"]
    await vehicles.consumes("payment.processed.v1", order_id=order_id)
    sold = await vehicles.get(listed["id"])
    assert (sold["is_sold"], sold["is_reserved"]) == (True, False)
    events = await vehicles.client.told(order_id)
    assert [event["type"] for event in events] == ["vehicle.reserved.v1", "vehicle.sold.v1"]
    assert [int(event["sequence"]) for event in events] == [1, 2]
    assert {event["correlationid"] for event in events} == {str(order_id)}
    assert events[0]["data"]["seller_id"] == listed["seller_id"]


@pytest.mark.parametrize("event_type", RELEASES)
@pytest.mark.parametrize("paid", [False, True])
async def test_each_end_of_a_payment_puts_the_vehicle_back(
    vehicles: Vehicles, event_type: str, paid: bool
) -> None:
    listed = await vehicles.listed()
    order_id = await vehicles.consumes_credit_reserved(listed)
    if paid:
        await vehicles.consumes("payment.processed.v1", order_id=order_id)
    await release(vehicles, order_id, event_type)
    await release(vehicles, order_id, event_type)
    back = await vehicles.get(listed["id"])
    assert (back["is_reserved"], back["is_sold"]) == (False, False)
    released = (await vehicles.client.told(order_id))[-1]
    assert released["type"] == "vehicle.released.v1"
    assert released["data"]["reason"] == RELEASES[event_type]
    assert (await vehicles.client.types(order_id)).count("vehicle.released.v1") == 1
    await vehicles.consumes_credit_reserved(listed)
    assert (await vehicles.get(listed["id"]))["is_reserved"]


@pytest.mark.parametrize("event_type", RELEASES)
async def test_release_before_the_reservation_leaves_a_tombstone(
    vehicles: Vehicles, event_type: str
) -> None:
    listed, order_id = await vehicles.listed(), uuid7()
    await release(vehicles, order_id, event_type)
    await vehicles.consumes_credit_reserved(listed, order_id)
    await vehicles.consumes("payment.processed.v1", order_id=order_id)
    (event,) = await vehicles.client.told(order_id)
    assert event["data"]["vehicle_id"] is None
    assert await vehicles.state(order_id) == "RELEASED"
    assert not (await vehicles.get(listed["id"]))["is_reserved"]


async def test_duplicates_of_every_step_change_nothing(vehicles: Vehicles) -> None:
    listed = await vehicles.listed()
    order_id = await vehicles.consumes_credit_reserved(listed)
    await vehicles.consumes_credit_reserved(listed, order_id)
    for _ in range(2):
        await vehicles.consumes("payment.processed.v1", order_id=order_id)
    await vehicles.consumes_credit_reserved(listed, order_id)
    assert await vehicles.client.types(order_id) == ["vehicle.reserved.v1", "vehicle.sold.v1"]


async def test_vehicle_withdrawn_while_reserved_fails_at_its_sale(vehicles: Vehicles) -> None:
    listed = await vehicles.listed()
    order_id = await vehicles.consumes_credit_reserved(listed)
    await vehicles.client.post(f"/vehicles/{listed['id']}/withdraw", headers=vehicles.admin)
    await vehicles.consumes("payment.processed.v1", order_id=order_id)
    assert await vehicles.state(order_id) == "SALE_FAILED"
    failed = (await vehicles.client.told(order_id))[-1]
    assert (failed["type"], failed["data"]["reason"]) == (
        "vehicle.sale_failed.v1",
        "vehicle_withdrawn",
    )
    await release(vehicles, order_id, "payment.refunded.v1")
    assert await vehicles.state(order_id) == "RELEASED"
    after = await vehicles.get(listed["id"])
    assert (after["withdrawn"], after["is_reserved"], after["is_sold"]) == (True, False, False)


async def test_refusals_name_their_reason(vehicles: Vehicles) -> None:
    listed = await vehicles.listed()
    unknown = await vehicles.consumes_credit_reserved(listed | {"id": str(uuid7())})
    dearer = await vehicles.consumes_credit_reserved(listed, total_cents=1)
    await vehicles.consumes_credit_reserved(listed)
    second = await vehicles.consumes_credit_reserved(listed)
    reasons = [
        (await vehicles.client.told(order))[0]["data"]["reason"]
        for order in (unknown, dearer, second)
    ]
    assert reasons == ["vehicle_not_found", "price_changed", "vehicle_not_for_sale"]
    assert await vehicles.state(second) == "REFUSED"


async def test_vehicle_of_another_tenant_is_refused_as_unknown(vehicles: Vehicles) -> None:
    listed = await vehicles.listed()
    other = replace(vehicles, tenant=f"{vehicles.tenant}x")
    order_id = await other.consumes_credit_reserved(listed)
    assert (await other.client.told(order_id))[0]["data"]["reason"] == "vehicle_not_found"
    assert not (await vehicles.get(listed["id"]))["is_reserved"]


async def test_vehicle_its_buyer_lists_anew_leaves_the_market_when_the_sale_is_undone(
    vehicles: Vehicles,
) -> None:
    listed = await vehicles.get((await vehicles.listed())["id"])
    order_id = await vehicles.consumes_credit_reserved(listed)
    await vehicles.consumes("payment.processed.v1", order_id=order_id)
    papers = {name: listed[name] for name in ("plate", "chassis_number", "renavam")}
    again = await vehicles.listed(**papers)
    await release(vehicles, order_id, "payment.refunded.v1")
    assert (await vehicles.get(listed["id"]))["withdrawn"]
    assert not (await vehicles.get(again["id"]))["withdrawn"]


async def test_of_fifty_buyers_of_one_vehicle_exactly_one_wins(vehicles: Vehicles) -> None:
    listed = await vehicles.listed()
    orders = await asyncio.gather(*(vehicles.consumes_credit_reserved(listed) for _ in range(50)))
    outcomes = [(await vehicles.client.types(order_id)) for order_id in orders]
    assert outcomes.count(["vehicle.reserved.v1"]) == 1
    assert outcomes.count(["vehicle.reservation_failed.v1"]) == 49


async def test_reservation_and_release_at_once_end_with_a_free_vehicle(vehicles: Vehicles) -> None:
    listed = await vehicles.listed()
    orders = [uuid7() for _ in range(10)]
    await asyncio.gather(
        *(vehicles.consumes_credit_reserved(listed, order_id) for order_id in orders),
        *(release(vehicles, order_id) for order_id in orders for _ in range(2)),
    )
    for order_id in orders:
        told = await vehicles.client.types(order_id)
        assert told.count("vehicle.released.v1") + told.count("vehicle.reservation_failed.v1") == 1
        assert await vehicles.state(order_id) in ("RELEASED", "REFUSED")
    assert not (await vehicles.get(listed["id"]))["is_reserved"]


async def test_sale_and_withdrawal_at_once_agree_on_one_outcome(vehicles: Vehicles) -> None:
    for _ in range(5):
        listed = await vehicles.listed()
        order_id = await vehicles.consumes_credit_reserved(listed)
        _, withdrawn = await asyncio.gather(
            vehicles.consumes("payment.processed.v1", order_id=order_id),
            vehicles.client.post(f"/vehicles/{listed['id']}/withdraw", headers=vehicles.admin),
        )
        expected = "SALE_FAILED" if withdrawn.status_code == 200 else "SOLD"
        assert await vehicles.state(order_id) == expected


async def test_edit_of_the_price_and_reservation_at_once_agree(vehicles: Vehicles) -> None:
    for _ in range(5):
        listed = await vehicles.listed()
        order_id, edited = await asyncio.gather(
            vehicles.consumes_credit_reserved(listed),
            vehicles.client.patch(
                f"/vehicles/{listed['id']}",
                json={"price_cents": 1},
                headers=vehicles.admin | {"If-Match": "1"},
            ),
        )
        expected = "REFUSED" if edited.status_code == 200 else "RESERVED"
        assert await vehicles.state(order_id) == expected


async def test_two_batches_that_meet_in_a_deadlock_both_end(vehicles: Vehicles) -> None:
    """Several reactions share a transaction, so two may want two vehicles in opposite order."""
    listed = [await vehicles.listed(), await vehicles.listed()]
    orders = [await vehicles.consumes_credit_reserved(vehicle) for vehicle in listed]
    met = asyncio.Barrier(2)

    async def release_both(first: UUID, second: UUID) -> None:
        waited = False

        async def work(uow: PostgresVehiclesUnitOfWork) -> None:
            nonlocal waited
            await release_vehicle(
                uow, order_id=first, tenant_id=vehicles.tenant, reason="payment_voided"
            )
            if not waited:
                waited = True
                await met.wait()
            await release_vehicle(
                uow, order_id=second, tenant_id=vehicles.tenant, reason="payment_voided"
            )

        await vehicles.client.service.transactions.run(work)

    await asyncio.gather(release_both(*orders), release_both(*reversed(orders)))
    for order_id in orders:
        assert (await vehicles.client.types(order_id)).count("vehicle.released.v1") == 1


async def test_each_reaction_is_one_statement_to_read_and_one_to_write(vehicles: Vehicles) -> None:
    listed, order_id = await vehicles.listed(), uuid7()
    statements: list[str] = []

    def note(_: object, __: object, statement: str, *___: object) -> None:
        if "INTO outbox" not in statement:
            statements.append(statement)

    engine = vehicles.client.service.transactions.engine.sync_engine
    event.listen(engine, "before_cursor_execute", note)
    counts = []
    for step in (
        vehicles.consumes_credit_reserved(listed, order_id),
        vehicles.consumes("payment.processed.v1", order_id=order_id),
        vehicles.consumes("payment.processed.v1", order_id=order_id),
        release(vehicles, uuid7()),
    ):
        statements.clear()
        await step
        counts.append(len(statements))
    event.remove(engine, "before_cursor_execute", note)
    assert counts == [2, 2, 1, 2]


async def test_database_itself_refuses_a_second_holder(vehicles: Vehicles) -> None:
    listed = await vehicles.listed()
    await vehicles.consumes_credit_reserved(listed)
    with pytest.raises(IntegrityError, match="reservations_one_holds_a_vehicle"):
        async with vehicles.client.service.transactions.engine.begin() as connection:
            await connection.exec_driver_sql(
                "INSERT INTO reservations VALUES"
                f" ('{uuid7()}', 'acme', '{listed['id']}', NULL, 'SOLD', 1)"
            )


def test_every_forward_step_has_its_compensation() -> None:
    reactions = participant().reactions.by_event
    for event_type in RELEASES:
        assert event_type in reactions["credit.reserved.v1"].compensated_by
        assert reactions[event_type].step.value == "backward"
