"""One FastStream subscription for each reaction takes messages for the reaction's consumer."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from typing import Any, Generic

import structlog
from aio_pika import RobustConnection
from faststream import AckPolicy
from faststream.rabbit import Channel, RabbitBroker, RabbitMessage, RabbitQueue
from faststream.rabbit.schemas import QueueType
from faststream.rabbit.subscriber.usecase import RabbitSubscriber
from yarl import URL

from libs.kernel.clock import Clock, utc_now
from libs.messaging.broker_url import BrokerUrl, of_this_moment
from libs.messaging.inbox.consumer import BATCH, QueueConsumer
from libs.messaging.inbox.database import Database
from libs.messaging.inbox.dead_letter_publisher import DeadLetterPublisher
from libs.messaging.inbox.failures import BROKER_ERRORS, RAW_DATABASE_ERRORS, describe, summarize
from libs.messaging.inbox.inbox import Inbox
from libs.messaging.inbox.rejections import Rejections
from libs.messaging.outbox.unit_of_work import Transactions, Unit
from libs.messaging.saga.participant import Participant
from libs.messaging.saga.reactions import Reaction
from libs.messaging.schema.inbox_window import InboxWindow
from libs.messaging.schema.tables import MessagingTables
from libs.messaging.supervision import Supervisor

PREFETCH = 2 * BATCH
"""The broker sends this many messages of a queue ahead: one batch at work, one arriving."""

CONNECT_SECONDS = 5.0

HEARTBEAT_SECONDS = 10
"""aiormq closes a connection that is silent for three of these and three seconds: 33 seconds."""

SLOTS = 2
"""One process runs this many transactions at a time, over all queues: while one commits, another
runs. More would only contend for row locks and the processor; messages that arrive meanwhile join
the next batch.
"""

CHECK_SECONDS = 1.0
"""A subscription that has ended is started again after this time at the latest."""

CLOCK_TOLERANCE_SECONDS = 60.0
"""Readiness reports when this machine's clock differs from the database's by more than this."""

FINISH_SECONDS = 10.0
"""A consumer that stops may take this long for the transactions it has begun. After that they are
rolled back, and their messages are delivered again.
"""

CLOSE_SECONDS = 3.0

_log = structlog.get_logger(__name__)


class _Broker(RabbitBroker):
    """This broker's first connection goes to the place and password that are current then.

    aio-pika goes on connecting in the background. A connection that FastStream gives up before it
    knows of it, because `stop` cancels it or its first channel fails, is closed here.
    """

    def __init__(self, place: Callable[[], URL], **options: Any) -> None:
        super().__init__(place(), **options)
        self._place = place

    async def _connect(self) -> RobustConnection:
        made: list[RobustConnection] = []

        def noted(*arguments: Any, **options: Any) -> RobustConnection:
            made.append(RobustConnection(*arguments, **options))
            return made[-1]

        self._connection_kwargs |= {"url": str(self._place()), "connection_class": noted}
        try:
            return await super()._connect()
        except BaseException:
            for connection in made:
                await _bounded(connection.close())
            raise


@dataclass
class _Subscription(Generic[Unit]):
    consumer: QueueConsumer[Unit]
    rejections: Rejections
    subscriber: RabbitSubscriber
    channel: Channel
    begun: bool = False

    @property
    def runs(self) -> bool:
        """Return whether it has begun: FastStream sets `running` before that, see `_begin`."""
        return self.begun and self.subscriber.running


class Subscriber(Generic[Unit]):
    """A subscriber runs all reactions of a service. `start` returns at once, before it can consume.

    Nothing but `stop` ends the consuming of a queue: what fails is tried again, and `ready` and
    `note` report it meanwhile.
    """

    def __init__(
        self,
        participant: Participant,
        transactions: Transactions[Unit],
        tables: MessagingTables,
        rabbitmq_url: BrokerUrl,
        *,
        window: InboxWindow,
        clock: Clock = utc_now,
    ) -> None:
        self._name = f"{participant.name} subscriber"
        self._url = rabbitmq_url
        self._broker = _Broker(
            self._place,
            apply_types=False,
            logger=None,
            reconnect_interval=1,
            timeout=CONNECT_SECONDS,
        )
        self._transactions = transactions
        self._inbox = Inbox(tables.inbox)
        self._clock = clock
        self._window = window
        self._database = Database(transactions.engine, clock=clock)
        self._publisher = DeadLetterPublisher(participant.name, rabbitmq_url)
        self._slots = asyncio.Semaphore(SLOTS)
        self._subscriptions = [self._subscription(each) for each in participant.reacts_to]
        self._connecting = asyncio.Lock()
        self._connection: RobustConnection | None = None
        supervisor = partial(
            Supervisor,
            expected=(*BROKER_ERRORS, *RAW_DATABASE_ERRORS),
            describe=summarize,
            longest_pause=5.0,
        )
        self._subscribing = supervisor(f"{participant.name} subscriptions")
        self._consuming = supervisor(f"{participant.name} consumers")
        self._rejecting = supervisor(f"{participant.name} dead letters")

    def _subscription(self, reaction: Reaction[Unit]) -> _Subscription[Unit]:
        rejections = Rejections(reaction.queue, self._publisher)
        consumer = QueueConsumer(
            reaction,
            self._transactions,
            self._inbox,
            rejections,
            self._database,
            window=self._window,
            slots=self._slots,
            clock=self._clock,
        )
        channel = Channel(prefetch_count=PREFETCH)
        subscriber = self._broker.subscriber(
            RabbitQueue(reaction.queue, queue_type=QueueType.QUORUM, declare=False),
            channel=channel,
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
            decoder=_undecoded,
        )

        async def take(message: RabbitMessage) -> None:
            consumer.take(message.raw_message)

        subscriber(take)
        return _Subscription(consumer, rejections, subscriber, channel)

    async def start(self) -> None:
        for subscription in self._subscriptions:
            queue = subscription.consumer.queue
            self._consuming.start(queue, subscription.consumer.step)
            self._rejecting.start(queue, subscription.rejections.step)
            self._subscribing.start(queue, partial(self._subscribe, subscription))

    async def _subscribe(self, subscription: _Subscription[Unit]) -> float:
        """Subscribe once. Raises while the broker is away or has no such queue; afterwards aio-pika
        restores the subscription.
        """
        if not subscription.runs:
            subscription.begun = False
            async with self._connecting:
                self._connection = await self._broker.connect()
            await _begin(subscription.subscriber)
            subscription.begun = True
        self._keep_place()
        return CHECK_SECONDS

    def _keep_place(self) -> None:
        """Give the connection the current place and password: aio-pika reconnects by itself, with
        those that the connection holds.
        """
        if self._connection is not None:
            self._connection.url = self._place()

    def _place(self) -> URL:
        place = of_this_moment(self._url)
        return place.update_query(name=self._name, heartbeat=HEARTBEAT_SECONDS)

    async def ready(self) -> bool:
        """Return whether every queue has its consumer at this moment and none is failing."""
        if self._consuming.problems:
            return False
        for subscription in self._subscriptions:
            if not await self._consumes(subscription):
                return False
        return True

    def note(self) -> str | None:
        """Say what an operator should know, even when the subscriber is ready; None when there is
        nothing.
        """
        notes = [
            f"{queue}: {problem}"
            for supervisor in (self._consuming, self._subscribing)
            for queue, problem in supervisor.problems.items()
        ]
        notes += [
            f"{queue}: its dead letters wait: {problem}"
            for queue, problem in self._rejecting.problems.items()
        ]
        notes += [
            f"{each.consumer.queue}: {count} retried later: {reason}"
            for each in self._subscriptions
            for reason, count in each.consumer.retry_reasons().items()
        ]
        ahead = self._database.seconds_ahead()
        if abs(ahead) > CLOCK_TOLERANCE_SECONDS:
            apart = f"{abs(ahead):.0f} s {'behind' if ahead > 0 else 'ahead of'}"
            notes.append(f"this machine's clock is {apart} the database's")
        return "; ".join(notes) or None

    async def _consumes(self, subscription: _Subscription[Unit]) -> bool:
        if not subscription.runs:
            return False
        manager: Any = self._broker.config.channel_manager
        channel = await manager.get_channel(subscription.channel)
        try:
            async with asyncio.timeout(0.2):
                return bool((await channel.get_underlay_channel()).consumers)
        except BROKER_ERRORS:
            return False

    async def stop(self) -> None:
        """Stop consuming, finish and acknowledge what has begun, close: each in bounded time."""
        await self._subscribing.stop(within=0)
        await asyncio.gather(*(_bounded(each.subscriber.stop()) for each in self._subscriptions))
        for subscription in self._subscriptions:
            subscription.consumer.stop()
        await self._consuming.stop(within=FINISH_SECONDS)
        for subscription in self._subscriptions:
            subscription.rejections.stop()
        await self._rejecting.stop(within=CLOSE_SECONDS)
        await _bounded(self._publisher.close())
        await _bounded(self._broker.stop())


async def _begin(subscriber: RabbitSubscriber) -> None:
    """Begin, or raise what the broker raises; ConnectionError if the connection closes meanwhile.

    FastStream discards messages that arrive before `running` is set, and sets it only after the
    broker may have sent some. They would stay unacknowledged until the channel closes.
    """
    subscriber.running = True
    try:
        await subscriber.start()
    except BaseException as error:
        subscriber.running = False
        if type(error) is RuntimeError:  # aiormq raises it on a closed connection
            raise ConnectionError(str(error)) from error
        raise


async def _bounded(closing: Coroutine[Any, Any, None]) -> None:
    """Wait a bounded time: the broker may not answer, and what is unacknowledged comes again.
    `asyncio.timeout` is no way, as the protocol library can swallow a cancellation.
    """
    task = asyncio.create_task(closing)
    await asyncio.wait({task}, timeout=CLOSE_SECONDS)
    if not task.cancel() and not task.cancelled() and (error := task.exception()):
        _log.info("broker gone while stopping", error=describe(error))


async def _undecoded(message: RabbitMessage) -> RabbitMessage:
    """Leave the body to the consumer. (A decoder that is no coroutine would get a thread.)"""
    return message
