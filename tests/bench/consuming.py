"""Measures how many messages one process handles: with the library's subscriber, and
with a naive one.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from multiprocessing.sharedctypes import Synchronized
from multiprocessing.synchronize import Event

import aiormq
import asyncpg
import uvloop
from prometheus_client import REGISTRY
from sqlalchemy.ext.asyncio import create_async_engine

from libs.messaging.inbox.subscriber import Subscriber
from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import Transactions, UnitOfWork
from libs.messaging.schema.inbox_window import InboxWindow
from tests.bench import naive, raw, sample
from tests.bench.relaying import SPAWN, wait_for


@dataclass(frozen=True)
class Consumed:
    """A process has `Consumed` at a rate, in messages per second; `cpu_ms` is for one message."""

    rate: float
    cpu_ms: float


async def queue_up(database_url: str, rabbitmq_url: str, count: int) -> None:
    """Fill the queue with this many orders, and reset the database."""
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    await connection.execute("TRUNCATE reservations, inbox, outbox")
    await connection.close()
    async with raw.channel(rabbitmq_url) as broker:
        await asyncio.gather(
            *(
                broker.basic_publish(
                    sample.on_the_wire(sample.placed(number)),
                    exchange="shop",
                    routing_key=sample.OrderPlaced.type,
                    properties=aiormq.spec.Basic.Properties(delivery_mode=2),
                )
                for number in range(count)
            )
        )


def consume(database_url: str, rabbitmq_url: str, *, count: int, naively: bool) -> Consumed:
    """Handle `count` waiting messages in a process of its own. Measure the last nine tenths."""
    handled = SPAWN.Value("q", 0)
    cpu = SPAWN.Value("d", 0.0)
    stop = SPAWN.Event()
    arguments = (database_url, rabbitmq_url, handled, cpu, stop, naively)
    process = SPAWN.Process(target=_consumer, args=arguments)
    process.start()
    try:
        begun = wait_for([handled], count // 10)
        cpu_before = cpu.value
        measured = count - handled.value
        took = wait_for([handled], count) - begun
        return Consumed(measured / took, (cpu.value - cpu_before) * 1000 / measured)
    finally:
        stop.set()
        process.join()


def _consumer(
    database_url: str,
    rabbitmq_url: str,
    handled: "Synchronized[int]",
    cpu: "Synchronized[float]",
    stop: Event,
    naively: bool,
) -> None:
    async def run() -> None:
        start = _start_naive if naively else _start_ours
        count, finish = await start(database_url, rabbitmq_url)
        while not stop.is_set():
            cpu.value = time.process_time()
            handled.value = count()
            await asyncio.sleep(0.01)
        await finish()

    uvloop.run(run())


async def _start_ours(
    database_url: str, rabbitmq_url: str
) -> tuple[Callable[[], int], Callable[[], Awaitable[None]]]:
    engine = create_async_engine(database_url, pool_size=10)
    transactions = Transactions(engine, Outbox("credit", sample.TABLES), UnitOfWork)
    subscriber = Subscriber(
        sample.credit(), transactions, sample.TABLES, rabbitmq_url, window=InboxWindow()
    )
    await subscriber.start()

    def count() -> int:
        value = REGISTRY.get_sample_value("messaging_handled_total", {"queue": sample.QUEUE})
        return int(value or 0)

    return count, subscriber.stop


async def _start_naive(
    database_url: str, rabbitmq_url: str
) -> tuple[Callable[[], int], Callable[[], Awaitable[None]]]:
    done: list[None] = []
    stop = await naive.start(database_url, rabbitmq_url, lambda: done.append(None))
    return lambda: len(done), stop
