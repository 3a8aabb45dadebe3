"""Services recover by themselves after the database's address has led to a standby for a while."""

import asyncio

import asyncpg
import pytest
from yarl import URL

from libs.messaging import topology
from tests.faults import chain
from tests.faults.test_half_open import book
from tests.fixtures.polling import eventually
from tests.fixtures.proxy import proxy
from tests.fixtures.services import ServiceClient, serving
from tests.fixtures.standby import Pair, primary_and_standby

SECONDS = 3.0
"""A write works again within these seconds."""


@pytest.mark.slow
async def test_writing_goes_on_after_the_address_led_to_a_standby_and_when_that_is_promoted(
    vhost: str,
) -> None:
    """Nobody ends the connections to the standby when the address leads elsewhere again."""
    await topology.apply(vhost, topology.topology_of([chain.tills(), chain.ledger()]))
    with primary_and_standby() as pair:
        await chain.create_tables(pair.primary.url.replace("://", "+asyncpg://"), TABLES)
        async with proxy(pair.primary.url) as (line, through):
            settings = chain.TillsSettings(_env_file=None, database_url=through, rabbitmq_url=vhost)
            async with serving(chain.build_tills(settings)) as tills:
                await book(tills)
                await eventually(lambda: is_ready(tills))
                await eventually(lambda: follows(pair))

                line.lead_to("127.0.0.1", port_of(pair.standby.url))
                line.reset()
                await eventually(lambda: none_books(tills))
                await eventually(lambda: says_read_only(tills))

                line.lead_to("127.0.0.1", port_of(pair.primary.url))
                await eventually(lambda: all_book(tills), timeout=SECONDS)
                await eventually(lambda: all_sent(pair.primary.url))
                await eventually(lambda: is_ready(tills))
                await eventually(lambda: follows(pair))

                line.lead_to("127.0.0.1", port_of(pair.standby.url))
                line.reset()
                await eventually(lambda: says_read_only(tills))
                await ask(pair.standby.url, "SELECT pg_promote()")
                await eventually(lambda: all_book(tills), timeout=SECONDS)
                await eventually(lambda: all_sent(pair.standby.url))
                await eventually(lambda: is_ready(tills))


TABLES = chain.TILLS_DATABASE


def port_of(url: str) -> int:
    port = URL(url).port
    assert port is not None
    return port


async def ask(url: str, query: str) -> object:
    connection = await asyncpg.connect(url)
    try:
        return await connection.fetchval(query)
    finally:
        await connection.close()


async def follows(pair: Pair) -> bool:
    """Return whether the standby has all changes made so far."""
    written = await ask(pair.primary.url, "SELECT pg_current_wal_lsn()::text")
    return bool(await ask(pair.standby.url, f"SELECT pg_last_wal_replay_lsn() >= '{written}'"))


async def all_sent(url: str) -> bool:
    return await ask(url, "SELECT count(*) FROM outbox") == 0


async def is_ready(tills: ServiceClient) -> bool:
    answer = await tills.get("/ready")
    assert answer.status_code == 200, answer.text
    return True


async def says_read_only(tills: ServiceClient) -> bool:
    checks = (await tills.get("/ready")).json()["checks"]
    assert checks["database"] == "read-only: nothing can be written"
    return True


async def books(tills: ServiceClient) -> bool:
    try:
        await book(tills)
    except AssertionError:
        await asyncio.sleep(0.1)
        return False
    return True


async def all_book(tills: ServiceClient) -> bool:
    """Return whether several bookings at once succeed, which use every connection of the pool."""
    return all(await asyncio.gather(*(books(tills) for _ in range(6))))


async def none_books(tills: ServiceClient) -> bool:
    return not any(await asyncio.gather(*(books(tills) for _ in range(6))))
