"""Behind a real nginx the portal knows each visitor's address, and a visitor cannot
claim another one.
"""

from functools import partial
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from argon2 import PasswordHasher

from services.portal.domain.sign_in_limits import ATTEMPTS
from services.portal.infrastructure.store.postgres import Store
from tests.fixtures.nginx import nginx_before
from tests.integration.portal.conftest import PASSWORD, AddUser
from tests.integration.portal.purchases import WAY_FORWARD, buy, consume, envelope
from tests.integration.portal.test_stream import events, listening, path, sign_in

RIGHT = {"email": "operator@example.com", "password": PASSWORD}


@pytest.fixture(autouse=True)
def cheap(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make password hashing cheap, because this module checks a hundred wrong passwords."""
    hasher = partial(PasswordHasher, time_cost=1, memory_cost=64, parallelism=1)
    monkeypatch.setattr("services.portal.infrastructure.identity.passwords.PasswordHasher", hasher)


def seen_as(address: str, url: str) -> httpx.AsyncClient:
    """Return a client whose connections come from this address of the loopback."""
    transport = httpx.AsyncHTTPTransport(local_address=address)
    return httpx.AsyncClient(transport=transport, base_url=url, timeout=20)


async def guess(client: httpx.AsyncClient, times: int) -> list[int]:
    """Sign in wrongly to different accounts, each time with another claimed address."""
    answers = [
        await client.post(
            "/api/sessions",
            json={"email": f"nobody{n}@example.com", "password": "wrong horse battery"},
            headers={"X-Forwarded-For": f"203.0.113.{n}"},
        )
        for n in range(times)
    ]
    return [answer.status_code for answer in answers]


async def enters(client: httpx.AsyncClient) -> int:
    return (await client.post("/api/sessions", json=RIGHT)).status_code


def port_of(client: httpx.AsyncClient) -> int:
    port = urlsplit(str(client.base_url)).port
    assert port is not None
    return port


async def test_one_visitor_behind_a_trusted_proxy_locks_out_no_other(
    settings: Any, add_user: AddUser
) -> None:
    await add_user("operator")
    async with listening(settings(trusted_proxies="127.0.0.1")) as (client, _):
        with nginx_before(port_of(client)) as url:
            async with seen_as("127.0.0.2", url) as stranger, seen_as("127.0.0.3", url) as owner:
                statuses = await guess(stranger, ATTEMPTS.address + 1)
                assert statuses == [401] * ATTEMPTS.address + [429]
                assert await enters(stranger) == 429
                assert await enters(owner) == 201


async def test_an_address_that_a_visitor_claims_is_ignored_without_a_trusted_proxy(
    settings: Any, add_user: AddUser
) -> None:
    await add_user("operator")
    for trusted in ("", "10.0.0.0/8, fd00::/8"):
        async with listening(settings(trusted_proxies=trusted)) as (client, _):
            url = str(client.base_url)
            address = "127.0.0.4" if trusted else "127.0.0.5"
            async with seen_as(address, url) as stranger, seen_as("127.0.0.6", url) as owner:
                statuses = await guess(stranger, ATTEMPTS.address + 1)
                assert statuses == [401] * ATTEMPTS.address + [429]
                assert await enters(owner) == 201


async def test_a_stream_passes_a_proxy_event_by_event(
    settings: Any, add_user: AddUser, transactions: Store
) -> None:
    await add_user("operator")
    order_id = await buy(transactions, steps=1)
    async with listening(settings(trusted_proxies="127.0.0.1")) as (client, _):
        with nginx_before(port_of(client)) as url:
            async with httpx.AsyncClient(base_url=url, timeout=10) as visitor:
                await sign_in(visitor)
                async with visitor.stream("GET", path(order_id)) as answer:
                    told = events(answer)
                    for n, consumed in enumerate(WAY_FORWARD[:4]):
                        if n:
                            await consume(transactions, envelope(order_id, consumed))
                        assert (await anext(told))[2]["type"] == consumed[0]
