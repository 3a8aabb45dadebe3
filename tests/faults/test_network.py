"""After a network fault under load, every accepted request is finished. During it, requests are
refused within a bounded time, with 503 or 409.
"""

import asyncio
from collections.abc import Awaitable, Callable

import pytest

from tests.faults.world import World
from tests.fixtures.proxy import Proxy, Way

LINES: dict[str, Callable[[World], Proxy]] = {
    "postgres": lambda world: world.postgres,
    "rabbitmq": lambda world: world.rabbitmq,
}
SECONDS = 1.5
PROXY_SECONDS = 40.0
"""Longer than Postgres lets a transaction rest (30 s), and than it lets one last from 17 on."""


async def away(line: Proxy) -> None:
    await line.stop()


async def cut(line: Proxy) -> None:
    line.cut()


async def reset(line: Proxy) -> None:
    line.reset()


async def silent(line: Proxy) -> None:
    line.silence()


async def deaf(line: Proxy) -> None:
    line.silence(Way.UP)


async def mute(line: Proxy) -> None:
    line.silence(Way.DOWN)


async def slow(line: Proxy) -> None:
    line.slow(latency=0.02, bytes_per_second=20_000)


async def broken_off_going_up(line: Proxy) -> None:
    line.reset_after(5_000, Way.UP)


async def broken_off_coming_down(line: Proxy) -> None:
    line.reset_after(2_000, Way.DOWN)


async def broken_off_at_once(line: Proxy) -> None:
    line.reset()
    line.reset_after(300, Way.DOWN)


LIKE_THEM = (
    silent,
    broken_off_going_up,
    reset,
    deaf,
    mute,
    slow,
    broken_off_coming_down,
    broken_off_at_once,
)

FAULTS = [
    away,
    cut,
    *(pytest.param(each, marks=pytest.mark.long) for each in LIKE_THEM),
]


@pytest.mark.parametrize("server", LINES)
@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.__name__)
async def test_accepted_requests_are_finished_after_a_network_fault(
    world: World, server: str, fault: Callable[[Proxy], Awaitable[None]]
) -> None:
    line = LINES[server](world)
    async with world.under_load() as load:
        await fault(line)
        await asyncio.sleep(SECONDS)
        await line.heal()
    if server == "rabbitmq":
        assert set(load.answers) == {"201"}, "bookings do not need the broker"


@pytest.mark.long
@pytest.mark.parametrize("server", LINES)
async def test_half_open_connections_are_given_up(world: World, server: str) -> None:
    """Before 17, Postgres keeps the locks of a client lost between two messages of one statement
    until the proxy gives the connection up. Other locks go earlier.
    """
    line = LINES[server](world)
    async with world.under_load():
        line.forget()
        asyncio.get_running_loop().call_later(PROXY_SECONDS, line.end_forgotten)
        await asyncio.sleep(SECONDS)


@pytest.mark.long
@pytest.mark.parametrize("server", LINES)
async def test_a_server_silent_for_long_keeps_no_request_waiting(world: World, server: str) -> None:
    line = LINES[server](world)
    async with world.under_load():
        line.silence()
        await asyncio.sleep(30)
        await line.heal()
