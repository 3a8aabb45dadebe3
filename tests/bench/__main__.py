"""Measures everything in one run on one machine, as ratios: `./taskw bench`.

Starts servers and services of its own, prints as it goes, and writes `.local/bench.json`.
"""

import asyncio
import contextlib
import shutil
import signal
import statistics
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import asyncpg
import httpx
import uvloop
from rich.console import Console

from deploy.demo.market import Market
from deploy.installation import ADMINISTRATOR, SUPERUSER, Installation
from deploy.local import private
from deploy.local.state import FOLDER, NotUp, State, exclusive, make
from deploy.servers.postgres import data_folder
from deploy.servers.processes import StartFailed, recorded, stop_recorded
from libs.messaging.topology import apply, topology_of
from tests.bench import consuming, hops, peer, purchases, raw, sample
from tests.bench.findings import Findings
from tests.bench.relaying import Outbox

ROUNDS = 5
DEEP_ROUNDS = 5
DRAINS = 3
"""Each drain has 8,500 rows and takes half a second, so other work on the machine shows in it."""
CROWDED = (
    ("1,000 subjects of 1,000 rows", 1_000_000, 1_000),
    ("one subject of 2,000,000 rows", 2_000_000, 1),
)
CROWDED_SECONDS = 10.0
PURCHASES = 1_500
BESIDE = ("portal", "kpis", "payouts")
"""They consume events of purchases and move none."""
TO_THE_CODE = "POST /purchase to the payment code, idle, p50"
CPU = "CPU a purchase, all processes"
DATABASES = ("bench", "bench_other")


Measured = TypeVar("Measured")


@dataclass(frozen=True)
class Place:
    """Two databases and a vhost belong to the bench, with the sample's tables and queues."""

    database_url: str
    other_database_url: str
    rabbitmq_url: str

    @property
    def dsn(self) -> str:
        return self.database_url.replace("+asyncpg", "")

    async def rate(self, measure: Callable[[], Awaitable[Measured]]) -> Measured:
        """Use a new queue for each measurement, because a long queue slows the next one down."""
        await raw.declare(self.rabbitmq_url, "bench")
        try:
            return await measure()
        finally:
            await raw.delete(self.rabbitmq_url, "bench")


@asynccontextmanager
async def place(installation: Installation) -> AsyncIterator[Place]:
    admin = await asyncpg.connect(installation.superuser_url)
    for name in DATABASES:
        await admin.execute(f"CREATE DATABASE {name}")
    vhost = f"{installation.management_url}/api/vhosts/bench"
    async with httpx.AsyncClient() as client:
        (await client.put(vhost)).raise_for_status()
    try:
        urls = [installation.database_url(name, SUPERUSER) for name in DATABASES]
        one, other = (url.replace("postgresql:", "postgresql+asyncpg:") for url in urls)
        broker = installation.broker_url(ADMINISTRATOR).rsplit("/", 1)[0]
        here = Place(one, other, f"{broker}/bench")
        for url in (one, other):
            await sample.create_tables(url)
        await apply(here.rabbitmq_url, topology_of([sample.shop(), sample.credit()]))
        yield here
    finally:
        async with httpx.AsyncClient() as client:
            await client.delete(vhost)
        for name in DATABASES:
            await admin.execute(f"DROP DATABASE {name} WITH (FORCE)")
        await admin.close()


async def relay(here: Place, found: Findings) -> None:
    found.title("Relay: 400-byte events to a quorum queue, confirmed")
    outbox = Outbox(here.dsn, here.rabbitmq_url)
    limit, one, two, hot, other = [], [], [], [], []
    for _ in range(ROUNDS):  # alternating, so that other load on the machine affects all alike
        limit.append(await here.rate(lambda: raw.publish_rate(here.rabbitmq_url, 20_000)))
        await outbox.fill(20_000)
        one.append(await here.rate(lambda: outbox.drain_rate(1_000, 19_000)))
        await outbox.fill(20_000)
        two.append(await here.rate(lambda: outbox.drain_rate(1_000, 19_000, relays=2)))
        await outbox.fill(1_000, subjects=1)
        hot.append(await here.rate(lambda: outbox.drain_rate(1, 1_000)))
        other.append(
            await here.rate(lambda: peer.relay_rate(here.database_url, here.rabbitmq_url, 5_000))
        )
    shallow: list[float] = []
    deep: list[float] = []
    for _ in range(DEEP_ROUNDS):
        for _ in range(DRAINS):
            await outbox.fill(10_000)
            shallow.append(await here.rate(lambda: outbox.drain_rate(1_000, 9_500)))
        await outbox.fill(1_000_000)
        deep += [await here.rate(lambda: outbox.drain_rate(1_000, 9_500)) for _ in range(DRAINS)]
    alone = statistics.median(one)
    found.note("aiormq alone", statistics.median(limit), "events/s")
    found.note("the relay", alone, "events/s")
    found.note("faststream-outbox", statistics.median(other), "events/s")
    found.at_least(0.9, "the relay to aiormq alone", alone / statistics.median(limit))
    found.at_least(5, "the relay to faststream-outbox", alone / statistics.median(other))
    # One relay and its servers use six sevenths of two cores, so a second relay gains little.
    found.at_least(0.9, "two relays to one", statistics.median(two) / alone)
    depth = statistics.median(deep) / statistics.median(shallow)
    # A claim touches 5,514 pages, not 4,516, because the index of subjects has one more level.
    found.at_least(0.85, "1,000,000 rows waiting to 10,000", depth)
    found.at_least(300, "one subject, 1,000 events", statistics.median(hot), "events/s")
    for name, rows, subjects in CROWDED:
        await outbox.fill(rows, subjects=subjects)
        claims = await here.rate(lambda: outbox.claims(CROWDED_SECONDS))
        found.at_least(300, f"the relay, {name}", claims.rate, "events/s")
        # While relay, broker and database want all cores, a claim also waits for one of them.
        found.note(f"slowest claim meanwhile, {name}", max(claims.milliseconds), "ms")
        slowest = await outbox.slowest_claim(200)
        found.at_most(50, f"slowest claim alone, {name}", slowest, "ms")


async def hop(here: Place, found: Findings) -> None:
    found.title("Hop: from the commit in one service to the commit in the next, idle")
    latencies = await hops.hop_latencies(
        here.other_database_url, here.database_url, here.rabbitmq_url, 500
    )
    found.at_most(10, "hop, p50", statistics.median(latencies), "ms")
    found.at_most(50, "hop, p99", _percentile(latencies, 99), "ms")


async def subscriber(here: Place, found: Findings) -> None:
    found.title("Subscriber: inbox, two writes and one event a message, one process")
    ours: list[consuming.Consumed] = []
    naive: list[consuming.Consumed] = []
    for _ in range(ROUNDS):
        for results, naively in ((ours, False), (naive, True)):
            await consuming.queue_up(here.database_url, here.rabbitmq_url, 3_000)
            results.append(
                await asyncio.to_thread(
                    consuming.consume,
                    here.database_url,
                    here.rabbitmq_url,
                    count=3_000,
                    naively=naively,
                )
            )
    rates = [statistics.median(each.rate for each in results) for results in (ours, naive)]
    found.note("messages a second", rates[0], "messages/s")
    found.note("naively, one ORM transaction each", rates[1], "messages/s")
    cpu = [statistics.median(each.cpu_ms for each in results) for results in (ours, naive)]
    found.note("CPU of the process a message", cpu[0], "ms")
    found.note("naively", cpu[1], "ms")
    found.at_least(2, "the subscriber to the naive one", rates[0] / rates[1])


async def whole_purchases(state: State, folder: Path, found: Findings) -> None:
    found.title(f"Purchases: {PURCHASES:,} from POST /purchase to COMPLETED, all services here")
    code, cpu = await _purchases(state, folder, found)
    found.note(TO_THE_CODE, code, "ms")
    found.note(CPU, cpu, "ms")
    _stop(folder, BESIDE)
    found.title(f"The same without {', '.join(BESIDE)}, whose queues fill")
    code, cpu = await _purchases(state, folder, found)
    found.at_most(40, TO_THE_CODE, code, "ms")
    found.at_most(45, CPU, cpu, "ms")


async def _purchases(state: State, folder: Path, found: Findings) -> tuple[float, float]:
    """Return the milliseconds to the payment code when idle, and of CPU a purchase under load."""
    market = Market({name: state.service_url(name) for name in state.services}, timeout=60)
    try:
        orders = state.service_url("orders")
        dsn = state.installation(folder).database_url("orders", SUPERUSER)
        codes = await purchases.code_latencies(market, orders, dsn, 100)
        load = await purchases.run_load(market, folder, PURCHASES)
    finally:
        await market.close()
    found.note("purchases a second", load.rate, "purchases/s")
    for name, milliseconds in sorted(load.cpu_ms.items(), key=lambda item: -item[1]):
        found.note(f"CPU a purchase: {name}", milliseconds, "ms")
    return statistics.median(codes), load.cpu_ms_total


def _stop(folder: Path, services: Sequence[str]) -> None:
    for record in recorded(folder):
        if record.name in services:
            record.stop()


async def run(state: State, folder: Path, parts: Sequence[str]) -> bool:
    found = Findings(Console(highlight=False, soft_wrap=True))
    async with place(state.installation(folder)) as here:
        for name, part in (("relay", relay), ("hop", hop), ("subscriber", subscriber)):
            if name in parts:
                await part(here, found)
    if "purchases" in parts:
        await whole_purchases(state, folder, found)
    found.write(FOLDER / "bench.json")
    return found.all_kept


def _percentile(values: Sequence[float], rank: int) -> float:
    return statistics.quantiles(values, n=100)[rank - 1]


def _clear(folder: Path) -> None:
    """Stop what a bench started in this folder, and delete its data. A killed bench leaves both."""
    stop_recorded(folder)
    shutil.rmtree(data_folder(folder), ignore_errors=True)
    shutil.rmtree(folder, ignore_errors=True)


def _on_private_servers(folder: Path, parts: Sequence[str]) -> bool:
    _clear(folder)
    make(folder)
    try:
        state = private.start(folder)
        return uvloop.run(run(state, folder, parts))
    except (StartFailed, *private.EXPECTED) as error:
        sys.exit(f"error: {error}")
    finally:
        _clear(folder)


def main(parts: Sequence[str]) -> None:
    known = ("relay", "hop", "subscriber", "purchases")
    unknown = [part for part in parts if part not in known]
    if unknown:
        sys.exit(f"error: no such part: {', '.join(unknown)} (there are: {', '.join(known)})")
    folder = FOLDER / "bench"
    try:
        with exclusive(folder):
            kept = _on_private_servers(folder, parts or known)
    except NotUp as error:
        sys.exit(f"error: {error}")
    sys.exit(0 if kept else 1)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # what was started is then stopped
    with contextlib.suppress(KeyboardInterrupt):
        main(sys.argv[1:])
