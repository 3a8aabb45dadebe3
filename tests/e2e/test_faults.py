"""Parts are killed while purchases run, and every accepted purchase ends correctly."""

import asyncio
import time
from collections.abc import Callable
from functools import partial
from uuid import UUID

import pytest

from deploy.demo.market import FINAL_STATES, Market
from deploy.services import SERVICES
from tests.e2e.patience import unless_too_late, until_answered
from tests.e2e.quiet import invariants_hold
from tests.e2e.system import System

pytestmark = [
    pytest.mark.long,
    pytest.mark.slow,
    pytest.mark.timeout(300),
]  # also where the machine is busy

PRICE = 1_000
PURCHASES = 30
SALES = 12  # all are paid for before a code expires


async def test_purchases_survive_the_kill_of_every_service(system: System) -> None:
    def kill_each() -> None:
        for spec in SERVICES:
            system.kill(spec.name)
            system.start_again(spec.name)

    await _purchases_survive(system, kill_each)


async def test_purchases_survive_a_crash_of_the_broker(system: System) -> None:
    await _purchases_survive(system, system.servers.crash_rabbitmq)


async def test_purchases_survive_a_crash_of_the_database(system: System) -> None:
    await _purchases_survive(system, system.servers.crash_postgres)


async def test_sellers_are_paid_although_the_broker_crashes(system: System) -> None:
    market = system.market()
    try:
        customer = await market.register_customer(credit_limit_cents=SALES * PRICE)
        vehicles = [await market.list_vehicle(price_cents=PRICE) for _ in range(SALES)]
        bought = await _buy_all(market, customer, vehicles)
        await asyncio.gather(*(_is_paid_for(market, order_id) for order_id in bought))
        before, during, after = bought[::3], bought[1::3], bought[2::3]
        await _pick_up_all(market, before)
        crash = asyncio.create_task(system.aside(system.servers.crash_rabbitmq))
        await _pick_up_all(market, during)
        await crash
        await _pick_up_all(market, after)
        payouts = [await market.seller_paid(order_id) for order_id in bought]
    finally:
        await market.close()
    assert [payout["amount_cents"] for payout in payouts] == [PRICE] * SALES
    await invariants_hold(system)


async def _purchases_survive(system: System, fault: Callable[[], None]) -> None:
    market = system.market()
    try:
        customer = await market.register_customer(credit_limit_cents=PURCHASES * PRICE)
        vehicles = [await market.list_vehicle(price_cents=PRICE) for _ in range(PURCHASES)]
        buying = asyncio.create_task(_buy_all(market, customer, vehicles))
        await system.aside(fault)
        accepted = await buying
        await asyncio.gather(*(_ends(market, order_id) for order_id in accepted))
    finally:
        await market.close()
    assert len(accepted) == PURCHASES
    await invariants_hold(system)


async def _buy_all(market: Market, customer: UUID, vehicles: list[UUID]) -> list[UUID]:
    """Begin purchases before, during and after the fault."""
    return [
        await until_answered(partial(market.buy, customer, vehicle, PRICE, key=str(vehicle)))
        for vehicle in vehicles
    ]


async def _is_paid_for(market: Market, order_id: UUID) -> None:
    await market.pay(await market.payment_code(order_id))
    await market.reach(order_id, "COMPLETED")


async def _pick_up_all(market: Market, order_ids: list[UUID]) -> None:
    for order_id in order_ids:
        await until_answered(partial(market.pick_up, order_id))


async def _ends(market: Market, order_id: UUID) -> None:
    """Pay as soon as there is a code and pick the vehicle up, so that the seller is paid. If the
    code has expired meanwhile, the purchase ends too.
    """
    paid = False
    deadline = time.monotonic() + 90
    while True:
        purchase = await until_answered(partial(market.state, order_id))
        if purchase["state"] in FINAL_STATES - {"COMPLETED"}:
            return
        if purchase["state"] == "COMPLETED":
            await until_answered(partial(unless_too_late, partial(market.pick_up, order_id)))
            continue
        if purchase["payment_code"] is not None and not paid:
            code = purchase["payment_code"]
            pay = partial(market.pay, code, key=code)
            paid = await until_answered(partial(unless_too_late, pay))
        assert time.monotonic() < deadline, f"{order_id} rests in {purchase['state']}"
        await asyncio.sleep(0.1)
