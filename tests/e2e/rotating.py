"""Passwords and keys of a system are replaced while purchases run."""

import asyncio
from functools import partial
from uuid import UUID

import asyncpg
import httpx

from deploy.local.market import Market
from deploy.rotation import ROTATIONS
from deploy.services import SERVICES
from tests.e2e.system import System
from tests.fixtures.polling import eventually

PRICE = 1_000


async def rotate_while_buying(system: System, what: str) -> list[UUID]:
    """The purchases made meanwhile, each of which was accepted at the first try."""
    market = system.market()
    rotation = partial(ROTATIONS[what], system.installation, system.hand_out)
    bought: list[UUID] = []
    completing: list[asyncio.Task[None]] = []  # at once: codes expire
    try:
        customer = await market.register_customer(credit_limit_cents=1_000 * PRICE)
        rotating = asyncio.create_task(system.aside(rotation))
        while not rotating.done() or not bought:
            vehicle = await market.list_vehicle(price_cents=PRICE)
            bought.append(await market.buy(customer, vehicle, PRICE, key=str(vehicle)))
            completing.append(asyncio.create_task(complete(market, bought[-1])))
        await rotating
        await asyncio.gather(*completing)
    finally:
        await market.close()
    return bought


async def complete(market: Market, order_id: UUID) -> None:
    await market.pay(await market.payment_code(order_id))
    await market.reach(order_id, "COMPLETED")


async def all_ready(system: System) -> None:
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:

        async def ready() -> bool:
            for spec in SERVICES:
                answer = await client.get(f"{system.state.service_url(spec.name)}/ready")
                assert answer.status_code == 200, f"{spec.name}: {answer.text}"
            return True

        await eventually(ready, timeout=90)


async def end_connections(system: System) -> None:
    """Of the services with the database: those that follow need the passwords."""
    connection = await asyncpg.connect(system.installation.superuser_url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE '%\\_app'"
    )
    await connection.close()
