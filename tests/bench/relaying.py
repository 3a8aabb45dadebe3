"""Measures how fast a relay empties a short or a long outbox, alone or with a second relay."""

import asyncio
import multiprocessing
import time
from collections.abc import Sequence
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Barrier, Event
from typing import TYPE_CHECKING, Any
from unittest.mock import patch

import asyncpg
import uvloop
from prometheus_client import REGISTRY

from libs.messaging.relay import claimer, claims
from libs.messaging.relay.claims import Batch
from libs.messaging.relay.relay import Relay
from libs.messaging.schema.inbox_window import InboxWindow
from tests.bench.raw import BODY, EVENT_TYPE, EXCHANGE

if TYPE_CHECKING:
    Counts = Sequence["Synchronized[int]"]

SPAWN = multiprocessing.get_context("spawn")


@dataclass(frozen=True)
class Outbox:
    """An `Outbox` is a database with an outbox, and the broker to which its rows go."""

    dsn: str
    rabbitmq_url: str

    async def fill(self, rows: int, *, subjects: int | None = None) -> None:
        """Fill the outbox with waiting rows, each of its own subject, or of `subjects` in turn."""
        connection = await asyncpg.connect(self.dsn)
        try:
            await connection.execute("TRUNCATE outbox")
            await connection.execute(
                "INSERT INTO outbox (source, id, subject, type, body)"
                " SELECT $5, gen_random_uuid(),"
                " coalesce((n % $2)::text, gen_random_uuid()::text), $3, $4"
                " FROM generate_series(1, $1) n",
                rows,
                subjects,
                EVENT_TYPE,
                BODY,
                EXCHANGE,
            )
            await connection.execute("VACUUM ANALYZE outbox")
            await connection.execute("CHECKPOINT")  # otherwise a million rows are written meanwhile
        finally:
            await connection.close()

    async def drain_rate(self, first: int, last: int, *, relays: int = 1) -> float:
        """Return rows per second from the `first` to the `last` confirmed row."""
        return await asyncio.to_thread(self._drain_rate, first, last, relays)

    def _drain_rate(self, first: int, last: int, relays: int) -> float:
        counts = [SPAWN.Value("q", 0) for _ in range(relays)]
        stop = SPAWN.Event()
        together = SPAWN.Barrier(relays)
        arguments = [(self.dsn, self.rabbitmq_url, count, together, stop) for count in counts]
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

    async def slowest_claim(self, claims_in_turn: int) -> float:
        """Return the milliseconds of the slowest claim. Each claim begins where the last one ended
        and is rolled back.
        """
        connection = await asyncpg.connect(self.dsn)
        milliseconds: list[float] = []
        look_from = 0
        try:
            for _ in range(claims_in_turn):
                started = time.perf_counter()
                batch = await claims.claim(connection, EXCHANGE, look_from, claims.Limits())
                milliseconds.append((time.perf_counter() - started) * 1000)
                await connection.execute("ROLLBACK")
                look_from = batch.beyond or 0
        finally:
            await connection.close()
        return max(milliseconds)

    async def claims(self, seconds: float) -> "Claims":
        """Measure what a relay in this process does in `seconds`."""
        milliseconds: list[float] = []

        async def timed(*args: Any) -> Batch:
            started = time.perf_counter()
            batch = await claims.claim(*args)
            milliseconds.append((time.perf_counter() - started) * 1000)
            return batch

        before = _delivered()
        with patch.object(claimer, "claim", timed):
            relay = _relay_of(self.dsn, self.rabbitmq_url)
            await relay.start()
            await asyncio.sleep(seconds)
            delivered = _delivered() - before
            await relay.stop()
        return Claims(milliseconds, delivered / seconds)


@dataclass(frozen=True)
class Claims:
    """`Claims` are how long each claim took, and the events a second that went out meanwhile."""

    milliseconds: list[float]
    rate: float


def wait_for(counts: "Counts", total: int) -> float:
    """Return the moment (`time.perf_counter`) when the processes' counts add up to `total`."""
    deadline = time.perf_counter() + 120
    while sum(count.value for count in counts) < total:
        if time.perf_counter() > deadline:
            raise TimeoutError(f"{total} were not reached within two minutes")
        time.sleep(0.001)
    return time.perf_counter()


def _relay(
    dsn: str, rabbitmq_url: str, count: "Synchronized[int]", together: Barrier, stop: Event
) -> None:
    """Run one relay process. It waits until all processes have imported their code, because imports
    take CPU time.
    """

    async def run() -> None:
        relay = _relay_of(dsn, rabbitmq_url)
        together.wait(60)
        await relay.start()
        while not stop.is_set():
            count.value = _delivered()
            await asyncio.sleep(0.02)  # reading the count takes time too
        await relay.stop()

    uvloop.run(run())


def _relay_of(dsn: str, rabbitmq_url: str) -> Relay:
    return Relay(EXCHANGE, database_dsn=dsn, rabbitmq_url=rabbitmq_url, window=InboxWindow())


def _delivered() -> int:
    labels = {"service": EXCHANGE, "outcome": "delivered"}
    return int(REGISTRY.get_sample_value("outbox_published_total", labels) or 0)
