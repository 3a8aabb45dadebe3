"""How fast the relay empties an outbox, alone or beside another, shallow or deep."""

import asyncio
import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from typing import TYPE_CHECKING

import asyncpg
import uvloop
from prometheus_client import REGISTRY

from libs.messaging.inbox.inbox import InboxWindow
from libs.messaging.relay.relay import Relay
from tests.bench.raw import BODY, EVENT_TYPE, EXCHANGE

if TYPE_CHECKING:
    Counts = Sequence["Synchronized[int]"]

HOT = "hot"

SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Outbox:
    """A database with an outbox, and the broker its rows go to."""

    dsn: str
    rabbitmq_url: str

    async def fill(self, rows: int, *, subject: str | None = None) -> None:
        """Rows waiting: each of a subject of its own, or all of one."""
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute("TRUNCATE outbox")
            await connection.execute(
                "INSERT INTO outbox (source, id, subject, type, body)"
                " SELECT $5, gen_random_uuid(), coalesce($2, gen_random_uuid()::text), $3, $4"
                " FROM generate_series(1, $1)",
                rows,
                subject,
                EVENT_TYPE,
                BODY,
                EXCHANGE,
            )
            await connection.execute("VACUUM ANALYZE outbox")
            await connection.execute("CHECKPOINT")  # or a million rows are written meanwhile
        finally:
            await connection.close()

    async def drain_rate(self, first: int, last: int, *, relays: int = 1) -> float:
        """Rows per second from the `first` to the `last` one confirmed, by so many processes."""
        return await asyncio.to_thread(self._drain_rate, first, last, relays)

    def _drain_rate(self, first: int, last: int, relays: int) -> float:
        counts = [SPAWN.Value("q", 0) for _ in range(relays)]
        stop = SPAWN.Event()
        arguments = [(self.dsn, self.rabbitmq_url, count, stop) for count in counts]
        processes = [SPAWN.Process(target=_relay, args=each) for each in arguments]
        for process in processes:
            process.start()
        try:
            begun = wait_for(counts, first)
            return (last - first) / (wait_for(counts, last) - begun)
        finally:
            stop.set()
            for process in processes:
                process.join()


def wait_for(counts: "Counts", total: int) -> float:
    """The moment (`time.perf_counter`) the counts of all processes add up to `total`."""
    deadline = time.perf_counter() + 120
    while sum(count.value for count in counts) < total:
        if time.perf_counter() > deadline:
            raise TimeoutError(f"{total} were not reached within two minutes")
        time.sleep(0.001)
    return time.perf_counter()


def _relay(dsn: str, rabbitmq_url: str, count: "Synchronized[int]", stop: asyncio.Event) -> None:
    async def run() -> None:
        relay = Relay(EXCHANGE, database_dsn=dsn, rabbitmq_url=rabbitmq_url, window=InboxWindow())
        await relay.start()
        labels = {"service": EXCHANGE, "outcome": "delivered"}
        while not stop.is_set():
            count.value = int(REGISTRY.get_sample_value("outbox_published_total", labels) or 0)
            await asyncio.sleep(0.02)  # reading the count costs time too
        await relay.stop()

    uvloop.run(run())
