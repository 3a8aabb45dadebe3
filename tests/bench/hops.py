"""Measures hop latency: the time from a commit in one service to the commit in the
next, without load.
"""

import asyncio
import time
from multiprocessing.connection import Connection

import uvloop
from sqlalchemy.ext.asyncio import create_async_engine

from libs.messaging.inbox.subscriber import Subscriber
from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import Transactions, UnitOfWork
from libs.messaging.outbox.wakeup import WakeUp
from libs.messaging.relay.relay import Relay
from libs.messaging.schema.inbox_window import InboxWindow
from tests.bench import sample
from tests.bench.relaying import SPAWN

PAUSE = 0.02
"""Seconds between two events, so that each finds everything idle."""


async def hop_latencies(
    shop_url: str, credit_url: str, rabbitmq_url: str, count: int
) -> list[float]:
    """Return the milliseconds of each hop between two databases. Another process consumes."""
    ours, theirs = SPAWN.Pipe()
    process = SPAWN.Process(target=_consumer, args=(credit_url, rabbitmq_url, theirs))
    process.start()
    engine = create_async_engine(shop_url)
    wake_up = WakeUp()
    relay = Relay(
        "shop",
        database_dsn=shop_url.replace("+asyncpg", ""),
        rabbitmq_url=rabbitmq_url,
        window=InboxWindow(),
        wake_up=wake_up,
    )
    transactions = Transactions(
        engine, Outbox("shop", sample.TABLES), UnitOfWork, after_commit=wake_up.signal
    )
    await relay.start()
    try:
        warm_up = 50
        hops = [await _hop(transactions, number, ours) for number in range(count + warm_up)]
        return hops[warm_up:]
    finally:
        ours.send("stop")
        await relay.stop()
        await engine.dispose()
        process.join()


async def _hop(transactions: Transactions[UnitOfWork], number: int, consumer: Connection) -> float:
    async def work(unit: UnitOfWork) -> None:
        unit.publish(sample.placed(number))

    await transactions.run(work)
    committed = time.monotonic_ns()
    handled: int = await asyncio.to_thread(consumer.recv)
    await asyncio.sleep(PAUSE)
    return (handled - committed) / 1e6


def _consumer(database_url: str, rabbitmq_url: str, parent: Connection) -> None:
    async def run() -> None:
        engine = create_async_engine(database_url)
        transactions = Transactions(
            engine,
            Outbox("credit", sample.TABLES),
            UnitOfWork,
            after_commit=lambda: parent.send(time.monotonic_ns()),
        )
        subscriber = Subscriber(
            sample.credit(), transactions, sample.TABLES, rabbitmq_url, window=InboxWindow()
        )
        await subscriber.start()
        await asyncio.to_thread(parent.recv)
        await subscriber.stop()
        await engine.dispose()

    uvloop.run(run())
