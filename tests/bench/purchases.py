"""Measures whole purchases over HTTP: how many a second, and the CPU time of each."""

import asyncio
import json
import time
from collections import defaultdict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPConnection
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx

from deploy.demo.market import Market, idempotency_key
from deploy.servers.processes import recorded

PRICE = 1_000
_CODE = "SELECT payment_code FROM orders WHERE id = $1"

IDLE = 0.1
"""Seconds without a purchase, so that what the last one left to do is done."""

BUYERS = 40
"""Purchases under way at a time."""

ON_THE_WAY = ("REQUESTED", "CREDIT_RESERVED", "VEHICLE_RESERVED", "AWAITING_PAYMENT", "PAID")


@dataclass(frozen=True)
class Load:
    """A `Load` has `cpu_ms` per purchase, by process, without the buyers' own."""

    purchases: int
    seconds: float
    cpu_ms: Mapping[str, float]

    @property
    def rate(self) -> float:
        return self.purchases / self.seconds

    @property
    def cpu_ms_total(self) -> float:
        return sum(self.cpu_ms.values())


async def code_latencies(market: Market, orders: str, orders_dsn: str, count: int) -> list[float]:
    """Return the milliseconds from `POST /purchase` to the payment code, without load.

    The database says when to read the code, and is asked only when the code can be there: asking
    all the time would keep the services' processors busy. `orders` is the service's address.
    """
    database = await asyncpg.connect(orders_dsn)
    buyer = _Buyer(orders)
    latencies = []
    for _ in range(count):
        customer = await market.register_customer(credit_limit_cents=PRICE)
        vehicle = await market.list_vehicle(price_cents=PRICE)
        await asyncio.sleep(IDLE)
        started = time.perf_counter()
        order = buyer.buy(customer, vehicle)
        await asyncio.sleep(0.02)
        while await database.fetchval(_CODE, order) is None:  # noqa: ASYNC110 - it is theirs
            await asyncio.sleep(0.001)
        code = buyer.code(order)
        latencies.append((time.perf_counter() - started) * 1000)
        await market.pay(code)
        await market.reach(order, "COMPLETED")
    buyer.close()
    await database.close()
    return latencies


class _Buyer:
    """A `_Buyer` uses the standard library, because httpx takes a millisecond for each request."""

    def __init__(self, orders: str) -> None:
        address = httpx.URL(orders)
        self._connection = HTTPConnection(address.host, address.port)

    def buy(self, customer: UUID, vehicle: UUID) -> UUID:
        purchase = {
            "customer_id": str(customer), "vehicle_id": str(vehicle), "total_cents": PRICE
        }  # fmt: skip
        headers = {"Content-Type": "application/json"} | idempotency_key()
        self._connection.request("POST", "/purchase", json.dumps(purchase), headers)
        return UUID(self._answer(202)["transaction_id"])

    def code(self, order: UUID) -> str:
        self._connection.request("GET", f"/saga-states/{order}")
        return str(self._answer(200)["payment_code"])

    def close(self) -> None:
        self._connection.close()

    def _answer(self, expected: int) -> Any:
        answer = self._connection.getresponse()
        body = answer.read()
        if answer.status != expected:
            raise AssertionError(f"orders answered {answer.status}: {body.decode()}")
        return json.loads(body)


async def run_load(market: Market, folder: Path, count: int) -> Load:
    """Buy, pay and get `count` vehicles. `folder` records the system's processes."""
    customers = await asyncio.gather(
        *(market.register_customer(credit_limit_cents=count * PRICE) for _ in range(BUYERS))
    )
    waiting = iter(await _list_vehicles(market, count))
    before = _cpu_seconds(folder)
    started = time.perf_counter()
    codes = Codes(market)
    watching = asyncio.create_task(codes.watch())
    await asyncio.gather(*(_buy_all(market, codes, buyer, waiting) for buyer in customers))
    await codes.all_completed(count)
    seconds = time.perf_counter() - started
    watching.cancel()
    after = _cpu_seconds(folder)
    spent = {name: (after[name] - before[name]) * 1000 / count for name in after}
    return Load(count, seconds, spent)


async def _list_vehicles(market: Market, count: int) -> list[UUID]:
    vehicles: list[UUID] = []
    while len(vehicles) < count:
        some = range(min(BUYERS, count - len(vehicles)))
        vehicles += await asyncio.gather(*(market.list_vehicle(price_cents=PRICE) for _ in some))
    return vehicles


async def _buy_all(
    market: Market, codes: "Codes", customer: UUID, vehicles: Iterator[UUID]
) -> None:
    for vehicle in vehicles:
        order = await market.buy(customer, vehicle, PRICE)
        await market.pay(await codes.of(order))


class Codes:
    """`Codes` asks for the buyers' payment codes a hundred at a time, not one by one."""

    def __init__(self, market: Market) -> None:
        self._market = market
        self._codes: defaultdict[str, asyncio.Future[str]] = defaultdict(
            asyncio.get_running_loop().create_future
        )

    async def of(self, order: UUID) -> str:
        return await self._codes[str(order)]

    async def watch(self) -> None:
        while True:
            await asyncio.sleep(0.25)
            page = await self._page("AWAITING_PAYMENT", 100)
            for purchase in page:
                code = self._codes[purchase["transaction_id"]]
                if not code.done():
                    code.set_result(purchase["payment_code"])

    async def all_completed(self, count: int) -> None:
        """Wait until no purchase is under way. Raises AssertionError if one is not completed."""
        while True:
            if not any([await self._page(state, 1) for state in ON_THE_WAY]):
                break
            await asyncio.sleep(0.05)
        failed = [*await self._page("FAILED", 1), *await self._page("CANCELLED", 1)]
        if failed or len(self._codes) != count:
            raise AssertionError(f"not every purchase was completed: {failed}")

    async def _page(self, state: str, limit: int) -> list[dict[str, str]]:
        path = f"/purchases?state={state}&limit={limit}"
        answer = await self._market.send("orders", "GET", path, expect=200)
        items: list[dict[str, str]] = answer.json()["items"]
        return items


def _cpu_seconds(folder: Path) -> dict[str, float]:
    """Return the CPU seconds so far of each part, with all the processes it started."""
    spent = {}
    for record in recorded(folder):
        process = record.process()
        if process is not None:
            own = process.cpu_times()
            spent[record.name] = own.user + own.system + own.children_user + own.children_system
            for child in process.children(recursive=True):
                times = child.cpu_times()
                spent[record.name] += times.user + times.system
    return spent
