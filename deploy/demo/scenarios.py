"""Seven purchases go through the HTTP endpoints, each to the end it should have."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from deploy.demo.market import DECLINED, Market

PRICE = 4_500_000


@dataclass(frozen=True)
class Scenario:
    """`play` raises an error when the purchase does not end as it should; else it returns the
    orders it made and, in a few words, how they ended.
    """

    title: str
    play: Callable[[Market], Awaitable[tuple[Sequence[UUID], str]]]


async def bought_and_picked_up(market: Market) -> tuple[Sequence[UUID], str]:
    order = await _buy(market)
    await market.pay(await market.payment_code(order))
    await market.reach(order, "COMPLETED")
    await market.pick_up(order)
    await market.reach(order, "CLOSED")
    payout = await market.seller_paid(order)
    if payout["amount_cents"] != PRICE:
        raise AssertionError(f"the seller was paid {payout['amount_cents']} cents")
    return [order], "paid, sold, picked up, seller paid"


async def credit_too_low(market: Market) -> tuple[Sequence[UUID], str]:
    order = await _buy(market, credit_limit_cents=PRICE - 1)
    end = await market.reach(order, "FAILED")
    return [order], f"refused: {end['reason']}"


async def two_buyers_race(market: Market) -> tuple[Sequence[UUID], str]:
    vehicle = await market.list_vehicle(price_cents=PRICE)
    buyers = [await market.register_customer(credit_limit_cents=PRICE) for _ in range(2)]
    orders = await asyncio.gather(*(market.buy(buyer, vehicle, PRICE) for buyer in buyers))
    states = await asyncio.gather(
        *(market.reach(order, "AWAITING_PAYMENT", "FAILED") for order in orders)
    )
    winners = [state for state in states if state["state"] == "AWAITING_PAYMENT"]
    if len(winners) != 1:
        raise AssertionError(f"{len(winners)} of two buyers got the same vehicle")
    await market.pay(winners[0]["payment_code"])
    await market.reach(UUID(winners[0]["transaction_id"]), "COMPLETED")
    return orders, "one bought it, the other was refused"


async def payment_declined(market: Market) -> tuple[Sequence[UUID], str]:
    order = await _buy(market)
    await market.pay(await market.payment_code(order), method=DECLINED)
    end = await market.reach(order, "FAILED")
    return [order], f"refused: {end['reason']}"


async def payment_code_expired(market: Market) -> tuple[Sequence[UUID], str]:
    order = await _buy(market)
    await market.payment_code(order)
    end = await market.reach(order, "FAILED")
    return [order], f"given up: {end['reason']}"


async def cancelled_before_paying(market: Market) -> tuple[Sequence[UUID], str]:
    order = await _buy(market)
    await market.payment_code(order)
    await market.cancel(order)
    await market.reach(order, "CANCELLED")
    return [order], "nothing charged"


async def cancelled_after_paying(market: Market) -> tuple[Sequence[UUID], str]:
    order = await _buy(market)
    await market.pay(await market.payment_code(order))
    await market.reach(order, "COMPLETED")
    await market.cancel(order)
    await market.reach(order, "CANCELLED")
    return [order], "charged and refunded"


SCENARIOS = (
    Scenario("bought and picked up", bought_and_picked_up),
    Scenario("credit too low", credit_too_low),
    Scenario("two buyers race for one vehicle", two_buyers_race),
    Scenario("payment declined", payment_declined),
    Scenario("payment code expired", payment_code_expired),
    Scenario("cancelled before paying", cancelled_before_paying),
    Scenario("cancelled after paying", cancelled_after_paying),
)


async def _buy(market: Market, *, credit_limit_cents: int = 2 * PRICE) -> UUID:
    customer = await market.register_customer(credit_limit_cents=credit_limit_cents)
    vehicle = await market.list_vehicle(price_cents=PRICE)
    return await market.buy(customer, vehicle, PRICE)
