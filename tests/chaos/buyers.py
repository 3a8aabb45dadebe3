"""Runs buyers who purchase, pay, cancel or do not pay while services fail."""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from functools import partial
from http import HTTPStatus
from itertools import count
from random import Random
from typing import Any, TypeAlias, TypeVar
from uuid import UUID

import httpx

from deploy.demo.market import APPROVED, DECLINED, FINAL_STATES, Market
from tests.e2e.patience import unless_too_late, until_answered

PRICE = 1_000
PATIENCE = 180
"""Seconds for which a buyer repeats a request. Longer than any fault."""

Answer = TypeVar("Answer")


class Buyers:
    """`accepted` are the purchases answered with 202, `wrong` answers that no client may get."""

    def __init__(self, market: Market, seed: int) -> None:
        self.accepted: dict[UUID, str] = {}
        self.in_vain: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._market = market
        self._seed = seed
        self._numbers = count()

    async def shop(self, how_many: int, until: asyncio.Event) -> None:
        """Run `how_many` buyers at a time. Each finishes its last purchase."""
        await asyncio.gather(*(self._shop(until) for _ in range(how_many)))

    async def _shop(self, until: asyncio.Event) -> None:
        while not until.is_set():
            chance = Random(f"buyer {self._seed} {next(self._numbers)}")
            behave = chance.choice(BEHAVIOURS)
            try:
                await behave(self)
            except Exception as error:  # no buyer should meet any error
                self.wrong.append(f"{behave.__name__}: {type(error).__name__} {error}")

    async def pay_and_pick_up(self) -> None:
        order = await self._order()
        await self._pay(order)
        if await self._reaches(order, "COMPLETED"):
            await self._pick_up(order)

    async def pay_and_leave(self) -> None:
        await self._pay(await self._order(), method="tok_lost_answer")

    async def be_declined(self) -> None:
        await self._pay(await self._order(), method=DECLINED)

    async def cancel_at_once(self) -> None:
        await self._cancel(await self._order())

    async def cancel_instead_of_paying(self) -> None:
        order = await self._order()
        await self._code(order)
        await self._cancel(order)

    async def cancel_while_paying(self) -> None:
        order = await self._order()
        await self._code(order)
        await asyncio.gather(self._pay(order), self._cancel(order))

    async def cancel_what_was_bought(self) -> None:
        order = await self._order()
        await self._pay(order, method="tok_refund_refused_once")
        if await self._reaches(order, "COMPLETED"):
            await self._cancel(order)

    async def cancel_while_picking_up(self) -> None:
        order = await self._order()
        await self._pay(order)
        if await self._reaches(order, "COMPLETED"):
            await asyncio.gather(self._pick_up(order), self._cancel(order))

    async def forget_to_pay(self) -> None:
        await self._order()

    async def race_for_a_vehicle(self) -> None:
        vehicle = await self._vehicle()
        orders = await asyncio.gather(*(self._order(vehicle=vehicle) for _ in range(2)))
        await asyncio.gather(*(self._pay(order) for order in orders))

    async def buy_without_credit(self) -> None:
        await self._order(credit=PRICE - 1)

    async def _order(self, *, credit: int = PRICE, vehicle: UUID | None = None) -> UUID:
        register = partial(self._market.register_customer, credit_limit_cents=credit)
        customer = await self._ask(register)
        if vehicle is None:
            vehicle = await self._vehicle()
        # All attempts at one purchase have the same idempotency key.
        buy = partial(self._market.buy, customer, vehicle, PRICE, key=str(customer))
        order = await self._ask(buy)
        self.accepted[order] = "accepted"
        return order

    async def _vehicle(self) -> UUID:
        return await self._ask(partial(self._market.list_vehicle, price_cents=PRICE))

    async def _pay(self, order: UUID, *, method: str = APPROVED) -> None:
        code = await self._code(order)
        if code is not None:
            pay = partial(self._market.pay, code, method=method, key=code)
            await self._ask(partial(unless_too_late, pay))

    async def _cancel(self, order: UUID) -> None:
        await self._ask(partial(unless_too_late, partial(self._market.cancel, order)))

    async def _pick_up(self, order: UUID) -> None:
        await self._ask(partial(unless_too_late, partial(self._market.pick_up, order)))

    async def _code(self, order: UUID) -> str | None:
        """Return the code, or None when the purchase ended or was compensated before it had one."""
        await self._reaches(order, "AWAITING_PAYMENT", "PAID", "COMPENSATING")
        code: str | None = (await self._state(order))["payment_code"]
        return code

    async def _reaches(self, order: UUID, *states: str) -> bool:
        """Return False when the purchase ended in a state that is none of these."""
        async with asyncio.timeout(PATIENCE):
            while True:
                state = (await self._state(order))["state"]
                if state in states or state in FINAL_STATES:
                    return state in states
                await asyncio.sleep(0.2)

    async def _state(self, order: UUID) -> dict[str, Any]:
        return await self._ask(partial(self._market.state, order))

    async def _ask(self, request: Callable[[], Awaitable[Answer]]) -> Answer:
        return await until_answered(request, patience=PATIENCE, on_failure=self._note)

    def _note(self, error: Exception) -> None:
        if not isinstance(error, httpx.HTTPStatusError):
            self.in_vain["no answer"] += 1
            return
        response = error.response
        self.in_vain[f"{response.status_code}"] += 1
        refused = response.status_code in (HTTPStatus.SERVICE_UNAVAILABLE, HTTPStatus.CONFLICT)
        if not refused or "Retry-After" not in response.headers:
            self.wrong.append(str(error))


Behaviour: TypeAlias = Callable[[Buyers], Awaitable[None]]
BEHAVIOURS = (
    Buyers.pay_and_pick_up,
    Buyers.pay_and_pick_up,
    Buyers.pay_and_leave,
    Buyers.be_declined,
    Buyers.cancel_at_once,
    Buyers.cancel_instead_of_paying,
    Buyers.cancel_while_paying,
    Buyers.cancel_what_was_bought,
    Buyers.cancel_while_picking_up,
    Buyers.forget_to_pay,
    Buyers.race_for_a_vehicle,
    Buyers.buy_without_credit,
)
