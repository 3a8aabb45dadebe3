"""Simulates the processes: a shop that writes events to its outbox, relays that publish them, and a
service that reacts.

Each process runs on its own host, and is made again at each start.
"""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from contextlib import suppress
from contextvars import copy_context
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, ClassVar
from uuid import UUID

from sqlalchemy import MetaData
from sqlalchemy.exc import DBAPIError

from libs.kernel.events import DomainEvent
from libs.messaging.envelope import EventData, Received
from libs.messaging.inbox.subscriber import Subscriber
from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import Transactions, UnitOfWork
from libs.messaging.outbox.wakeup import Listener, Notifier, WakeUp
from libs.messaging.relay.claims import Limits
from libs.messaging.relay.relay import Relay, RelaySettings
from libs.messaging.saga.participant import Participant
from libs.messaging.saga.reactions import Reactions
from libs.messaging.schema.inbox_window import InboxWindow
from libs.messaging.schema.tables import messaging_tables
from tests.simulation.interleavings.engine import Engine
from tests.simulation.interleavings.loop import HERE, SeededLoop, SeededTask
from tests.simulation.interleavings.network import Host
from tests.simulation.interleavings.postgres import Postgres
from tests.simulation.interleavings.statements import EFFECT, EPOCH, NEXT_NUMBER

TABLES = messaging_tables(MetaData())
DSN, URL = "postgresql://shop@shop/shop", "amqp://shop@broker/shop"
WINDOW = InboxWindow()
SETTINGS = RelaySettings(
    limits=Limits(fresh=6, failing=4, of_subject=3, rows=10),
    poll=5.0, backoff=0.2, backoff_most=2.0, rarely=5.0,
)  # fmt: skip
"""Bounds are small, so that few rows meet them. `poll` is long, so that a lost signal shows."""
SUBJECTS = [UUID(int=number) for number in range(1, 6)]
RELAY_STOPS, SUBSCRIBER_STOPS = 14.0, 26.0
"""Each has to stop within these seconds, whatever does not answer: the sum of its bounds."""


@dataclass(frozen=True, kw_only=True)
class Placed(DomainEvent):
    type: ClassVar[str] = "order.placed.v1"
    order_id: UUID

    @property
    def subject(self) -> UUID:
        return self.order_id


@dataclass(frozen=True, kw_only=True)
class Paid(Placed):
    type: ClassVar[str] = "order.paid.v1"


class View(EventData):
    order_id: UUID


EVENTS = (Placed, Paid)
BINDINGS = {event.type: [f"credit.on.{event.type}"] for event in EVENTS}


class Process:
    """A `Process` starts and stops on its host. Nothing that a killed process sends reaches
    anybody.
    """

    stops_within: float
    is_ready = False

    def __init__(self, loop: SeededLoop, name: str) -> None:
        self.host = Host(name)
        self._loop = loop

    async def start(self) -> None:
        await self.here(self._start())

    async def stop(self) -> None:
        await self.here(self._stop())

    async def kill(self) -> None:
        self.host.is_dead = True
        self.host.cut()
        while tasks := self.tasks():
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=1)

    def tasks(self) -> list[SeededTask]:
        every: Any = asyncio.all_tasks(self._loop)
        found = [task for task in every if task.host is self.host]
        return sorted(found, key=lambda task: task.number)

    def here(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        context = copy_context()
        context.run(HERE.set, self.host)
        return self._loop.create_task(work, context=context)

    async def _start(self) -> None:
        raise NotImplementedError

    async def _stop(self) -> None:
        raise NotImplementedError

    def now(self) -> datetime:
        return EPOCH + timedelta(seconds=self._loop.time())

    def new_id(self) -> UUID:
        stamp = int(self.now().timestamp() * 1000) << 80 | self._loop.random.getrandbits(80)
        return UUID(int=stamp & ~(0xF << 76 | 0x3 << 62) | 0x7 << 76 | 0x2 << 62)


class Shop(Process):
    """The `Shop` writes events of a few subjects. Each transaction locks its subject first."""

    stops_within = 3.0

    def __init__(self, loop: SeededLoop, database: Postgres) -> None:
        super().__init__(loop, "shop")
        self._notifier = Notifier(DSN)
        engine: Any = Engine(database)
        self._transactions = Transactions(
            engine,
            Outbox("shop", TABLES, clock=self.now, ids=self.new_id),
            UnitOfWork,
            after_commit=self._notifier.signal,
        )

    async def _start(self) -> None:
        await self._notifier.start()

    async def _stop(self) -> None:
        await self._notifier.stop()

    def write(self, transactions: int, pause: float) -> asyncio.Task[None]:
        return self.here(self._write(transactions, pause))

    async def _write(self, transactions: int, pause: float) -> None:
        for _ in range(transactions):
            await asyncio.sleep(self._loop.random.uniform(0, pause))
            with suppress(DBAPIError):  # only the database knows whether it committed
                await self._transactions.run(self._state_some)

    async def _state_some(self, unit: UnitOfWork) -> None:
        subject = self._loop.random.choice(SUBJECTS)
        for _ in range(self._loop.random.choice((1, 1, 2, 4))):
            numbers = await unit.connection.exec_driver_sql(NEXT_NUMBER, (str(subject),))
            event = self._loop.random.choice(EVENTS)
            unit.publish(event(order_id=subject, sequence=numbers.scalars().one()))


class RelayProcess(Process):
    stops_within = RELAY_STOPS

    def __init__(self, loop: SeededLoop, name: str) -> None:
        super().__init__(loop, name)
        wake_up = WakeUp()
        self._listener = Listener(DSN, wake_up)
        self._relay = Relay(
            "shop",
            database_dsn=DSN,
            rabbitmq_url=URL,
            window=WINDOW,
            wake_up=wake_up,
            expected_queues=BINDINGS,
            settings=SETTINGS,
        )

    @property
    def is_ready(self) -> bool:  # type: ignore[override]
        return self._relay.ready

    async def _start(self) -> None:
        await self._listener.start()
        await self._relay.start()

    async def _stop(self) -> None:
        await self._relay.stop()
        await self._listener.stop()


class Credit(Process):
    """`Credit` reacts to every event. `hinders` makes a reaction slow, or raises."""

    stops_within = SUBSCRIBER_STOPS

    def __init__(
        self,
        loop: SeededLoop,
        name: str,
        database: Postgres,
        hinders: Callable[[UUID], Awaitable[None]],
    ) -> None:
        super().__init__(loop, name)
        self._hinders = hinders
        on = Reactions[UnitOfWork]("credit")
        for event in EVENTS:
            on.view(event.type, View)(self._reaction(f"credit.on.{event.type}"))
        engine: Any = Engine(database)
        self._subscriber = Subscriber(
            Participant("credit", publishes=(), reactions=on),
            Transactions(engine, Outbox("credit", TABLES), UnitOfWork),
            TABLES,
            URL,
            window=WINDOW,
            clock=self.now,
        )

    def _reaction(self, queue: str) -> Any:
        async def reaction(unit: UnitOfWork, event: Received[View]) -> None:
            await unit.connection.exec_driver_sql(EFFECT, (queue, event.id))
            await self._hinders(event.id)

        return reaction

    async def _start(self) -> None:
        await self._subscriber.start()
        self._probing = asyncio.create_task(self._probe())

    async def _probe(self) -> None:
        """Ask again and again whether the subscriber is ready, as an orchestrator does."""
        while True:
            self.is_ready = await self._subscriber.ready()
            await asyncio.sleep(self._loop.random.uniform(0, 0.5))

    async def _stop(self) -> None:
        self._probing.cancel()
        await self._subscriber.stop()
