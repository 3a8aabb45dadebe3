"""Passwords and keys are replaced, each by one command, while purchases run: none is refused."""

import asyncpg
import httpx
import pytest

from deploy.installation import BACKUP, EXPORTER
from deploy.services import SERVICES
from tests.e2e.quiet import invariants_hold
from tests.e2e.rotating import all_ready, end_connections, rotate_while_buying
from tests.e2e.system import System

pytestmark = [
    pytest.mark.long,
    pytest.mark.slow,
    pytest.mark.timeout(400),
]  # also where the machine is busy


async def test_passwords_of_the_database_are_replaced(system: System) -> None:
    before = system.installation.database_url("orders", "orders_app")
    others = [
        system.installation.superuser_url,
        *(system.installation.database_url("postgres", role) for role in (EXPORTER, BACKUP)),
    ]
    await rotate_while_buying(system, "database")
    with pytest.raises(asyncpg.InvalidPasswordError):
        await asyncpg.connect(before)
    for url in others:
        with pytest.raises(asyncpg.InvalidPasswordError):
            await asyncpg.connect(url)
    await end_connections(system)
    await all_ready(system)
    await rotate_while_buying(system, "tokens")
    await invariants_hold(system)


async def test_passwords_of_the_broker_are_replaced(system: System) -> None:
    before = system.installation.passwords.password("rabbitmq orders")
    administrator = httpx.URL(system.installation.management_url)
    await rotate_while_buying(system, "broker")
    assert system.installation.passwords.password("rabbitmq orders") != before
    management = httpx.URL(system.installation.management_url)
    async with httpx.AsyncClient(timeout=30, trust_env=False) as client:
        old = management.copy_with(username="orders", password=before, path="/api/whoami")
        assert (await client.get(old)).status_code == 401
        assert (await client.get(administrator.copy_with(path="/api/whoami"))).status_code == 401
        for spec in SERVICES:
            place = management.copy_with(path=f"/api/connections/username/{spec.name}")
            (await client.delete(place)).raise_for_status()
    await all_ready(system)
    await invariants_hold(system)


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
