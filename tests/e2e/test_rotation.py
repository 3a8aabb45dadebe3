"""Passwords and keys are replaced, each by one command, while purchases run: none is refused."""

import asyncio
from functools import partial
from uuid import UUID

import asyncpg
import httpx
import pytest

from deploy.installation import SUPERUSER
from deploy.local.market import Market
from deploy.local.private import secrets_folder
from deploy.rotation import ROTATIONS
from deploy.secret_settings import write_secrets
from deploy.services import SERVICES
from tests.e2e.quiet import invariants_hold
from tests.e2e.system import System
from tests.fixtures.polling import eventually

pytestmark = [pytest.mark.slow, pytest.mark.timeout(400)]  # also where the machine is busy

PRICE = 1_000


def hand_out(system: System) -> None:
    for spec in SERVICES:
        settings = system.installation.settings(spec, "127.0.0.1", system.state.services[spec.name])
        write_secrets(settings, secrets_folder(system.children.folder, spec))


async def rotate_while_buying(system: System, what: str) -> list[UUID]:
    """The purchases made meanwhile, each of which was accepted at the first try."""
    market = system.market()
    rotation = partial(ROTATIONS[what], system.installation, partial(hand_out, system))
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


async def test_passwords_of_the_database_are_replaced(system: System) -> None:
    before = system.installation.database_url("orders", "orders_app")
    await rotate_while_buying(system, "database")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(before)
    connection = await asyncpg.connect(system.installation.database_url("postgres", SUPERUSER))
    await connection.execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename LIKE '%\\_app'"
    )
    await connection.close()
    await all_ready(system)
    await rotate_while_buying(system, "tokens")
    await invariants_hold(system)


async def test_passwords_of_the_broker_are_replaced(system: System) -> None:
    before = system.installation.passwords.password("rabbitmq orders")
    await rotate_while_buying(system, "broker")
    assert system.installation.passwords.password("rabbitmq orders") != before
    management = httpx.URL(system.installation.management_url)
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        old = management.copy_with(username="orders", password=before, path="/api/whoami")
        assert (await client.get(old)).status_code == 401
        for spec in SERVICES:
            place = management.copy_with(path=f"/api/connections/username/{spec.name}")
            (await client.delete(place)).raise_for_status()
    await all_ready(system)
    await invariants_hold(system)


@pytest.mark.long
async def test_data_keys_are_replaced_and_old_ones_go(system: System) -> None:
    keys = {
        spec.name: system.installation.passwords.keys(f"{spec.name} data")
        for spec in SERVICES
        if spec.seals_personal_data
    }
    await rotate_while_buying(system, "data")
    for service, before in keys.items():
        [newest] = system.installation.passwords.keys(f"{service} data")
        assert newest not in before
    await all_ready(system)
    await invariants_hold(system)
