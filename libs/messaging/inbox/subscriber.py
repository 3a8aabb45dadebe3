"""Hears the broker: one FastStream subscription per reaction, each feeding an intake."""

import asyncio
from collections.abc import Coroutine
from dataclasses import dataclass
from typing import Any, Generic

import structlog
from faststream import AckPolicy
from faststream.rabbit import Channel, RabbitBroker, RabbitMessage, RabbitQueue
from faststream.rabbit.schemas import QueueType
from faststream.rabbit.subscriber.usecase import RabbitSubscriber
from yarl import URL

from libs.messaging.backoff import backoff
from libs.messaging.inbox.failures import BROKER_ERRORS, describe
from libs.messaging.inbox.inbox import Inbox, InboxWindow
from libs.messaging.inbox.intake import BATCH, Intake
from libs.messaging.inbox.refusals import Refusals
from libs.messaging.outbox.unit_of_work import Transactions, Unit
from libs.messaging.saga.participant import Participant
from libs.messaging.schema.tables import MessagingTables

PREFETCH = 2 * BATCH
"""Messages the broker hands out ahead, per queue: one batch at work, one arriving."""

HEARTBEAT_SECONDS = 10
"""A connection that is half open is noticed after two of these."""

TURNS = 2
"""Transactions at a time in one process, over all queues: while one commits, another runs. More
would wait for each other's rows, and for the same processor; so what arrives meanwhile shares a
transaction instead.
"""

PARTING_SECONDS = 3.0

_log = structlog.get_logger(__name__)


@dataclass
class _Subscription(Generic[Unit]):
    intake: Intake[Unit]
    subscriber: RabbitSubscriber
    channel: Channel


class Subscriber(Generic[Unit]):
    """All reactions of one service. `start` returns at once; it consumes as soon as it can."""

    def __init__(
        self,
        participant: Participant,
        transactions: Transactions[Unit],
        tables: MessagingTables,
        rabbitmq_url: str,
        *,
        window: InboxWindow | None = None,
    ) -> None:
        self._broker = RabbitBroker(
            URL(rabbitmq_url).update_query(
                name=f"{participant.name} subscriber", heartbeat=HEARTBEAT_SECONDS
            ),
            apply_types=False,
            logger=None,
            reconnect_interval=1,
        )
        self._refusals = Refusals(participant.name, rabbitmq_url)
        inbox = Inbox(tables.inbox)
        window = window or InboxWindow()
        turns = asyncio.Semaphore(TURNS)
        self._subscriptions = [
            self._subscription(
                Intake(reaction, transactions, inbox, self._refusals, window=window, turns=turns)
            )
            for reaction in participant.reacts_to
        ]
        self._starting: list[asyncio.Task[None]] = []
        self._running: list[asyncio.Task[None]] = []
        self._connecting = asyncio.Lock()
        self._stopping = False

    def _subscription(self, intake: Intake[Unit]) -> _Subscription[Unit]:
        channel = Channel(prefetch_count=PREFETCH)
        subscriber = self._broker.subscriber(
            RabbitQueue(intake.queue, queue_type=QueueType.QUORUM, declare=False),
            channel=channel,
            ack_policy=AckPolicy.MANUAL,
            no_reply=True,
            decoder=_undecoded,
        )

        async def take(message: RabbitMessage) -> None:
            intake.take(message.raw_message)

        subscriber(take)
        return _Subscription(intake, subscriber, channel)

    async def start(self) -> None:
        for subscription in self._subscriptions:
            queue = subscription.intake.queue
            running = asyncio.create_task(subscription.intake.run(), name=f"intake of {queue}")
            running.add_done_callback(self._ended)
            self._running.append(running)
            self._starting.append(asyncio.create_task(self._subscribe(subscription)))

    def _ended(self, task: asyncio.Task[None]) -> None:
        """No intake ends before `stop`: readiness turns red, and here is why."""
        if not self._stopping:
            error = None if task.cancelled() else task.exception()
            _log.critical("ended", part=task.get_name(), exc_info=error)

    async def _subscribe(self, subscription: _Subscription[Unit]) -> None:
        """Until the broker is there and holds the queue; afterwards aio-pika brings it back."""
        attempt = 0
        while True:
            try:
                async with self._connecting:
                    await self._broker.connect()
                await subscription.subscriber.start()
            except Exception as error:  # whatever it is, a service must not stay deaf over it
                attempt += 1
                queue = subscription.intake.queue
                _log.warning("cannot consume yet", queue=queue, error=describe(error))
                await asyncio.sleep(backoff(attempt))
            else:
                return

    async def ready(self) -> bool:
        """Every queue has its consumer at this moment, and nothing of ours has died."""
        if any(task.done() for task in self._running):
            return False
        for subscription in self._subscriptions:
            if not await self._consumes(subscription):
                return False
        return True

    async def _consumes(self, subscription: _Subscription[Unit]) -> bool:
        if not subscription.subscriber.running:
            return False
        manager: Any = self._broker.config.channel_manager
        channel = await manager.get_channel(subscription.channel)
        try:
            async with asyncio.timeout(0.2):
                return bool((await channel.get_underlay_channel()).consumers)
        except BROKER_ERRORS:
            return False

    async def stop(self) -> None:
        """Stop the intake, finish and acknowledge what is in hand, close."""
        self._stopping = True
        for task in self._starting:
            task.cancel()
        await asyncio.gather(*self._starting, return_exceptions=True)
        leaving = [_part(each.subscriber.stop()) for each in self._subscriptions]
        await asyncio.gather(*leaving)
        for subscription in self._subscriptions:
            subscription.intake.stop()
        await asyncio.gather(*self._running, return_exceptions=True)
        await _part(self._refusals.close())
        await _part(self._broker.stop())


async def _part(parting: Coroutine[Any, Any, None]) -> None:
    """A broker that is gone or does not answer is not waited for: what is unacknowledged comes
    again. Not `asyncio.timeout`: the protocol library can swallow a cancellation.
    """
    task = asyncio.create_task(parting)
    await asyncio.wait({task}, timeout=PARTING_SECONDS)
    if not task.cancel() and not task.cancelled() and (error := task.exception()):
        _log.info("broker gone while stopping", error=describe(error))


async def _undecoded(message: RabbitMessage) -> RabbitMessage:
    """The intake reads the body itself. (A decoder that is no coroutine would get a thread.)"""
    return message
