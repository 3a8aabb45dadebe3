"""Runs one service as a process: its real subscriber and transactions, over memory."""

import asyncio
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sqlalchemy import MetaData

from libs.kernel.clock import Clock
from libs.kernel.ids import IdFactory
from libs.messaging.envelope import Received
from libs.messaging.inbox.consumer import QueueConsumer
from libs.messaging.inbox.inbox import Inbox
from libs.messaging.inbox.rejections import Rejections
from libs.messaging.outbox.outbox import Outbox
from libs.messaging.outbox.unit_of_work import Transactions
from libs.messaging.saga.participant import Participant
from libs.messaging.saga.reactions import Reaction
from libs.messaging.schema.inbox_window import InboxWindow
from libs.messaging.schema.tables import messaging_tables
from tests.simulation.broker import Broker, Message
from tests.simulation.database import Crash, Database, Fault
from tests.simulation.parts import UnitFactory

TABLES = messaging_tables(MetaData())
WINDOW = InboxWindow()

Answer = TypeVar("Answer")


def run(work: Coroutine[Any, Any, Answer]) -> Answer:
    """Run a coroutine to its end. It never suspends, because nothing in memory waits."""
    try:
        work.send(None)
    except StopIteration as done:
        answer: Answer = done.value
        return answer
    raise AssertionError("it waited for something")


@dataclass
class DatabaseTime:
    """`DatabaseTime` is a database that answers. Its clock is the simulation's."""

    now: Clock

    async def answers(self, *, within: float = 0.0) -> bool:
        return True


@dataclass
class Service:
    """A crash of a `Service` loses what is not committed. At the next delivery it runs again."""

    participant: Participant
    broker: Broker
    clock: Clock
    database: Database
    transactions: Transactions[Any]
    reactions: dict[str, Reaction[Any]]

    @property
    def name(self) -> str:
        return self.participant.name

    def consume(self, queue: str, messages: Sequence[Message], fault: Fault) -> None:
        """Consume these messages as one batch. A message that is not acknowledged stays in its
        queue.
        """
        rejections = Rejections(queue, self.broker)  # type: ignore[arg-type]
        consumer: QueueConsumer[Any] = QueueConsumer(
            self.reactions[queue],
            self.transactions,
            Inbox(TABLES.inbox),
            rejections,
            DatabaseTime(self.clock),  # type: ignore[arg-type]
            window=WINDOW,
            slots=asyncio.Semaphore(),
            clock=self.clock,
        )
        for message in messages:
            consumer.take(message)  # type: ignore[arg-type]
        consumer.stop()
        rejections.stop()
        self.database.fault = fault
        try:
            run(consumer.step())
            run(rejections.step())
        except Crash:
            pass
        finally:
            self.database.fault = Fault.NONE
            self.broker.forget_settled(queue)


def service_of(
    participant: Participant, unit: UnitFactory, broker: Broker, clock: Clock, ids: IdFactory
) -> Service:
    database = Database()
    outbox = Outbox(participant.name, TABLES, clock=clock, ids=ids)
    engine: Any = database
    return Service(
        participant,
        broker,
        clock,
        database,
        Transactions(engine, outbox, unit),
        {each.queue: _counted(each) for each in participant.reacts_to},
    )


def _counted(reaction: Reaction[Any]) -> Reaction[Any]:
    """Make the reaction count each of its effects, in the transaction of the effect."""

    async def handler(unit: Any, event: Received[Any]) -> None:
        handled = unit.connection.table("handled")
        handled[reaction.queue, event.id] = handled.get((reaction.queue, event.id), 0) + 1
        await reaction.handler(unit, event)

    return replace(reaction, handler=handler)
