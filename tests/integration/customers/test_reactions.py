"""The reactions work on a real database with races and duplicates, in any order."""

import asyncio
from typing import Any
from uuid import UUID

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from libs.kernel.ids import uuid7
from libs.runtime import database
from tests.fixtures.services import ServiceClient
from tests.integration.customers.purchases import (
    BRUNO,
    closed,
    completed,
    confirmed,
    credit,
    deliver,
    events,
    forget_purchases,
    not_reserved,
    register,
    released,
    states,
)


@pytest.fixture(autouse=True)
def patience(monkeypatch: pytest.MonkeyPatch) -> None:
    """Allow longer waits for a lock than a service does, for the last of many transactions on a
    busy machine. A deadlock is still found after a second.
    """
    monkeypatch.setitem(database.SESSION, "lock_timeout", "30s")


async def test_a_confirmed_order_reserves_and_publishes_what_the_next_step_needs(
    customers: ServiceClient,
) -> None:
    customer, order = (await register(customers))["id"], uuid7()
    event = confirmed(order, customer, 4_000)
    await deliver(customers, event)
    assert await credit(customers, customer) == (6_000, 4_000, 0)
    published = (await events(customers))[-1]
    assert (published["type"], published["subject"]) == ("credit.reserved.v1", str(order))
    assert int(published["sequence"]) == 1
    assert published["data"] == {
        "tenant_id": "default",
        "order_id": str(order),
        "customer_id": customer,
        "vehicle_id": str(event[1]["vehicle_id"]),
        "total_cents": 4_000,
    }


async def test_a_completed_purchase_consumes_credit_and_a_cancellation_gives_it_back(
    customers: ServiceClient,
) -> None:
    customer, order = (await register(customers))["id"], uuid7()
    await deliver(customers, confirmed(order, customer), completed(order), closed(order))
    assert await credit(customers, customer) == (9_000, 0, 1_000)
    await deliver(customers, released(order))
    assert await credit(customers, customer) == (10_000, 0, 0)
    assert await states(customers) == {order: "RELEASED"}
    last = (await events(customers))[-1]
    assert (last["type"], int(last["sequence"])) == ("credit.released.v1", 2)


@pytest.mark.parametrize("release", [released, not_reserved])
async def test_a_release_gives_back_once(customers: ServiceClient, release: Any) -> None:
    customer, order = (await register(customers))["id"], uuid7()
    await deliver(customers, confirmed(order, customer))
    await deliver(customers, release(order))
    await deliver(customers, release(order), confirmed(order, customer), completed(order))
    assert await credit(customers, customer) == (10_000, 0, 0)
    types = [event["type"] for event in await events(customers)]
    assert types == ["customer.registered.v1", "credit.reserved.v1", "credit.released.v1"]


async def test_a_release_that_comes_first_leaves_a_tombstone(customers: ServiceClient) -> None:
    customer, order = (await register(customers))["id"], uuid7()
    await deliver(customers, released(order))
    await deliver(customers, confirmed(order, customer))
    assert await credit(customers, customer) == (10_000, 0, 0)
    last = (await events(customers))[-1]
    assert (last["type"], last["data"]["customer_id"]) == ("credit.released.v1", None)


async def test_a_refusal_says_why(customers: ServiceClient) -> None:
    customer = (await register(customers))["id"]
    erased = (await register(customers, BRUNO))["id"]
    await customers.delete(f"/customers/{erased}")
    wishes = [(customer, 10_001), (uuid7(), 1), (erased, 1)]
    for who, total in wishes:
        await deliver(customers, confirmed(uuid7(), who, total))
    await deliver(customers, confirmed(uuid7(), customer, 1), tenant="other")
    published = (await events(customers))[-4:]
    assert [event["data"].get("reason") for event in published] == [
        "credit_too_low",
        "unknown_customer",
        "customer_erased",
        "unknown_customer",
    ]
    assert set((await states(customers)).values()) == {"REFUSED"}


async def test_a_refused_purchase_publishes_nothing_more(customers: ServiceClient) -> None:
    order = uuid7()
    await deliver(customers, confirmed(order, uuid7()))
    await deliver(customers, released(order), completed(order), confirmed(order, uuid7()))
    assert [e["type"] for e in await events(customers)] == ["credit.reservation_failed.v1"]


async def test_fifty_purchases_at_once_take_exactly_the_limit(customers: ServiceClient) -> None:
    customer = (await register(customers, limit=10_000))["id"]
    orders = [uuid7() for _ in range(50)]
    await asyncio.gather(*(deliver(customers, confirmed(o, customer, 1_000)) for o in orders))
    assert await credit(customers, customer) == (0, 10_000, 0)
    found = list((await states(customers)).values())
    assert (found.count("RESERVED"), found.count("REFUSED")) == (10, 40)


async def test_copies_of_one_event_at_once_reserve_once(customers: ServiceClient) -> None:
    customer, order = (await register(customers))["id"], uuid7()
    event = confirmed(order, customer)
    await asyncio.gather(*(deliver(customers, event) for _ in range(10)))
    assert await credit(customers, customer) == (9_000, 1_000, 0)
    assert len(await events(customers)) == 2


async def test_confirmation_and_release_at_once_hold_nothing_in_the_end(
    customers: ServiceClient,
) -> None:
    customer = (await register(customers))["id"]
    orders = [uuid7() for _ in range(20)]
    await asyncio.gather(
        *(
            deliver(customers, step)
            for o in orders
            for step in (confirmed(o, customer), released(o))
        )
    )
    assert await credit(customers, customer) == (10_000, 0, 0)
    assert set((await states(customers)).values()) == {"RELEASED"}


async def test_batches_over_the_same_customers_do_not_deadlock(
    customers: ServiceClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two batches with the same customers in opposite order wait for each other."""
    monkeypatch.setattr("libs.messaging.outbox.unit_of_work.ATTEMPTS", 1)
    one, two = (await register(customers))["id"], (await register(customers, BRUNO))["id"]
    await asyncio.gather(
        *(
            deliver(customers, *(confirmed(uuid7(), who, 1) for who in order * 10))
            for order in ([one, two], [two, one]) * 4
        )
    )
    assert await credit(customers, one) == (9_920, 80, 0)
    assert await credit(customers, two) == (9_920, 80, 0)


async def test_an_erasure_and_a_purchase_at_once_do_not_both_win(customers: ServiceClient) -> None:
    for _ in range(10):
        customer, order = (await register(customers))["id"], uuid7()
        erased, _ = await asyncio.gather(
            customers.delete(f"/customers/{customer}"),
            deliver(customers, confirmed(order, customer)),
        )
        state = (await states(customers))[order]
        assert (erased.status_code, state) in ((204, "REFUSED"), (409, "RESERVED"))
        await deliver(customers, released(order))
        assert (await customers.delete(f"/customers/{customer}")).status_code == 204


STEPS = (confirmed, completed, released, not_reserved, closed)
DELIVERIES = st.lists(st.tuples(st.sampled_from(STEPS), st.integers(0, 3)), min_size=1, max_size=20)
TOTALS = (4_000, 6_000, 10_000, 10_001)


@settings(
    deadline=None,
    max_examples=25,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)
@given(DELIVERIES)
async def test_the_credit_adds_up_after_any_deliveries_at_once(
    customers: ServiceClient, deliveries: list[tuple[Any, int]]
) -> None:
    """All deliveries run at the same time, in an order that Postgres decides."""
    await forget_purchases(customers)
    customer = (await register(customers))["id"]
    orders = [uuid7() for _ in TOTALS]
    await asyncio.gather(
        *(
            deliver(customers, event_of(step, orders[n], customer, TOTALS[n]))
            for step, n in deliveries
        )
    )
    final = await states(customers)
    available, reserved, consumed = await credit(customers, customer)
    assert reserved == held(final, "RESERVED", orders)
    assert consumed == held(final, "CONSUMED", orders)
    assert available == 10_000 - reserved - consumed >= 0
    for step, n in deliveries:
        if step in (released, not_reserved):
            assert final[orders[n]] in ("RELEASED", "REFUSED")


def event_of(step: Any, order: UUID, customer: str, total: int) -> tuple[str, dict[str, Any]]:
    event: tuple[str, dict[str, Any]] = (
        confirmed(order, customer, total) if step is confirmed else step(order)
    )
    return event


def held(final: dict[UUID, str], state: str, orders: list[UUID]) -> int:
    return sum(t for order, t in zip(orders, TOTALS, strict=True) if final.get(order) == state)
