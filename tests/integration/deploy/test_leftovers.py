"""The next run on the same servers deletes databases and vhosts of a test run that was killed."""

import re
import secrets

import asyncpg
import httpx
import pytest

from tests.fixtures.leftovers import OURS, cleared
from tests.fixtures.servers import Servers


class Left:
    """`Left` is what this test has made: `names` of databases, vhosts, roles and users."""

    def __init__(self, servers: Servers, mark: str) -> None:
        self.servers, self.mark = servers, mark

    async def make(self) -> None:
        connection = await asyncpg.connect(self.servers.postgres.url)
        await connection.execute(f"CREATE ROLE {self.mark}_app")
        await connection.execute(f"CREATE DATABASE {self.mark} OWNER {self.mark}_app")
        await connection.close()
        async with self._management() as client:
            (await client.put(f"/api/vhosts/{self.mark}")).raise_for_status()
            user = {"password": "p", "tags": ""}
            (await client.put(f"/api/users/{self.mark}", json=user)).raise_for_status()

    async def there(self) -> set[str]:
        connection = await asyncpg.connect(self.servers.postgres.url)
        found = await connection.fetch(
            "SELECT 'database ' || datname FROM pg_database"
            " UNION ALL SELECT 'role ' || rolname FROM pg_roles"
        )
        await connection.close()
        names = {name for [name] in found}
        async with self._management() as client:
            for kind in ("vhosts", "users"):
                listed = (await client.get(f"/api/{kind}")).raise_for_status().json()
                names |= {f"{kind} {each['name']}" for each in listed}
        return {name for name in names if self.mark in name}

    def _management(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(
            base_url=self.servers.rabbitmq.management_url, timeout=30, trust_env=False
        )


async def test_the_leftovers_of_a_killed_run_go_with_the_next_run_and_with_no_other(
    servers: Servers,
) -> None:
    mark = f"orders_test_{secrets.token_hex(8)}"
    left, lock = Left(servers, mark), secrets.randbits(62)
    await left.make()
    before = await left.there()
    assert before == {
        *(f"database {mark}", f"role {mark}_app"),
        *(f"vhosts {mark}", f"users {mark}"),
    }
    postgres, management = servers.postgres.url, servers.rabbitmq.management_url

    another_run = cleared(postgres, management, ours="^nothing$", lock=lock)
    async with another_run, cleared(postgres, management, ours=mark, lock=lock):
        assert await left.there() == before

    async with cleared(postgres, management, ours=mark, lock=lock):
        assert await left.there() == set()


@pytest.mark.parametrize(
    ("name", "is_ours"),
    [
        ("test_0123456789abcdef0123456789abcdef", True),
        ("test_orders_0123456789abcdef0123456789abcdef", True),
        ("orders_test_01234567_app", True),
        ("credit-test_01234567", True),
        ("orders", False),
        ("orders_app", False),
        ("mercado", False),
        ("test", False),
        ("test_mine", False),
        ("sales_20260101", False),
    ],
)
def test_only_names_that_tests_make_up_are_deleted(name: str, is_ours: bool) -> None:
    assert bool(re.search(OURS, name)) is is_ours
