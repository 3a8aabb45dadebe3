"""The checker runs at intervals, and when somebody requests it in the portal, which shows the
results.
"""

import asyncio
import os
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime

import asyncpg

from deploy.checker.invariants import check
from deploy.checker.verify import UNREACHABLE, databases, record
from deploy.installation import ADMINISTRATOR, CHOREOGRAPHY, SUPERUSER, Installation
from libs.messaging.saga.choreography import read
from libs.runtime.auth import DEFAULT_TENANT

EVERY_SECONDS = 900.0
"""Two checks have this time between them, unless CHECK_EVERY_SECONDS says otherwise."""
LOOK_SECONDS = 3.0
GRACE_SECONDS = 5.0
ASKING = "SELECT clock_timestamp() AS now, array(SELECT tenant_id FROM check_requests) AS tenants"


@dataclass(frozen=True)
class Asked:
    """These tenants request a check, at this moment of the portal's database."""

    at: datetime
    tenants: frozenset[str]


async def watch(
    ask: Callable[[], Awaitable[Asked]],
    examine: Callable[[Asked], Awaitable[None]],
    *,
    every: float,
    pause: Callable[[], Awaitable[None]],
    clock: Callable[[], float] = time.monotonic,
) -> None:
    """Call `examine` when somebody requests it, and when `every` seconds have passed since the last
    time, for ever. A server that cannot be reached is reported in a line, and tried again.
    """
    due = clock() + every
    while True:
        try:
            asked = await ask()
            if asked.tenants or clock() >= due:
                await examine(asked)
                due = clock() + every
        except UNREACHABLE as error:
            reason = " ".join(str(error).split()) or type(error).__name__
            print(f"cannot check: {reason}", flush=True)
        await pause()


async def asking(installation: Installation) -> Asked:
    connection = await asyncpg.connect(installation.database_url("portal", SUPERUSER))
    try:
        [row] = await connection.fetch(ASKING)
    finally:
        await connection.close()
    return Asked(row["now"], frozenset(row["tenants"]))


async def examine(installation: Installation, asked: Asked) -> None:
    """Check, and record the result for the tenants that requested it and for the default tenant."""
    report = await check(
        databases(installation),
        read(CHOREOGRAPHY).participants,
        rabbitmq_url=installation.broker_url(ADMINISTRATOR),
        grace_seconds=GRACE_SECONDS,
    )
    tenants = sorted({DEFAULT_TENANT, *asked.tenants})
    await record(report, installation, tenants=tenants, started=asked.at)
    held = "all invariants hold" if report.hold else "NOT ALL INVARIANTS HOLD"
    print(f"{report.purchases} purchases: {held}", flush=True)


def run(installation: Installation) -> None:
    every = float(os.environ.get("CHECK_EVERY_SECONDS") or EVERY_SECONDS)
    asyncio.run(
        watch(
            lambda: asking(installation),
            lambda asked: examine(installation, asked),
            every=every,
            pause=lambda: asyncio.sleep(LOOK_SECONDS),
        )
    )
