"""Replaces passwords and keys of a system while purchases run."""

from functools import partial
from uuid import UUID

import asyncpg
import httpx

from deploy.rotation import ROTATIONS
from deploy.services import SERVICES
from tests.e2e.system import System
from tests.fixtures.buying import buy_during
from tests.fixtures.polling import eventually


async def rotate_while_buying(system: System, what: str) -> list[UUID]:
    """Return the purchases made meanwhile, each of which was accepted at the first try."""
    market = system.market()
    rotation = partial(ROTATIONS[what], system.installation, system.hand_out)
    try:
        return await buy_during(market, system.aside(rotation))
    finally:
        await market.close()


async def all_ready(system: System) -> None:
    async with httpx.AsyncClient(timeout=10, trust_env=False) as client:

        async def ready() -> bool:
            for spec in SERVICES:
                answer = await client.get(f"{system.state.service_url(spec.name)}/ready")
                assert answer.status_code == 200, f"{spec.name}: {answer.text}"
            return True

        await eventually(ready, timeout=90)


async def end_connections(system: System) -> None:
    """End the services' connections to the database, so that new ones need the passwords."""
    connection = await asyncpg.connect(system.installation.superuser_url)
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE '%\\_app'"
    )
    await connection.close()
