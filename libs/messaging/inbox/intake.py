"""One queue's messages on their way into transactions: several at a time, each exactly once."""

import asyncio
import time
from collections import deque
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from datetime import datetime
from typing import Any, Generic

import structlog
from aio_pika.abc import AbstractIncomingMessage
from aio_pika.exceptions import ChannelInvalidStateError
from opentelemetry import trace
from opentelemetry.propagate import extract

from libs.kernel.clock import Clock, utc_now
from libs.messaging.backoff import backoff
from libs.messaging.inbox import metrics
from libs.messaging.inbox.delivery import Delivery, Reader, Unreadable
from libs.messaging.inbox.failures import BROKER_ERRORS, describe, is_trouble
from libs.messaging.inbox.inbox import Inbox, InboxWindow, Verdict
from libs.messaging.inbox.reactions import Reaction
from libs.messaging.inbox.refusals import Refusals
from libs.messaging.outbox.causation import caused_by
from libs.messaging.outbox.unit_of_work import Transactions, Unit

ATTEMPTS = 4
"""How often a reaction that fails for its own reasons runs before its message is given up."""

BATCH = 100
"""The most messages in one transaction. A batch takes what is waiting and never waits to fill."""

_log = structlog.get_logger(__name__)
_tracer = trace.get_tracer(__name__)


class InboxUnavailable(Exception):
    """The inbox itself refused, for example for want of a partition: no message is to blame."""


class Intake(Generic[Unit]):
    """Takes messages and settles each: acknowledged after its commit, or refused."""

    def __init__(
        self,
        reaction: Reaction[Unit],
        transactions: Transactions[Unit],
        inbox: Inbox,
        refusals: Refusals,
        *,
        window: InboxWindow,
        turns: asyncio.Semaphore,
        clock: Clock = utc_now,
        retry_after: float = 0.1,
    ) -> None:
        self.queue = reaction.queue
        self._reaction = reaction
        self._transactions = transactions
        self._inbox = inbox
        self._refusals = refusals
        self._reader = Reader(reaction, window)
        self._turns = turns
        self._clock = clock
        self._retry_after = retry_after
        self._waiting: deque[AbstractIncomingMessage] = deque()
        self._aside: list[tuple[float, Delivery]] = []
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._handled = metrics.HANDLED.labels(self.queue)
        self._duration = metrics.DURATION.labels(self.queue)
        self._lag = metrics.LAG.labels(self.queue)

    def take(self, message: AbstractIncomingMessage) -> None:
        """Called for each message in the order of its arrival."""
        self._waiting.append(message)
        self._wake.set()

    def stop(self) -> None:
        """`run` returns when what has been taken is settled. What is held stays unacknowledged:
        the broker delivers it again.
        """
        self._stopping.set()
        self._wake.set()

    async def run(self) -> None:
        while True:
            await self._wait()
            if self._stopping.is_set() and not self._waiting:
                return
            await self._linger()
            async with self._turns:  # what arrives until it is our turn joins the batch
                await self._settle_waiting()

    async def _settle_waiting(self) -> None:
        if self._waiting:
            taken = [self._waiting.popleft() for _ in range(min(len(self._waiting), BATCH))]
            # One order for all batches, so that two queues' batches do not deadlock over the
            # same purchases; within a purchase the order of arrival stays.
            deliveries = sorted(await self._read(taken), key=lambda each: each.event.subject)
            await self._settle_batch(deliveries)
        for delivery in self._due_again():
            await self._settle_batch([delivery])

    async def _wait(self) -> None:
        if self._waiting or self._stopping.is_set():
            return
        self._wake.clear()
        pause = None
        if self._aside:
            pause = max(0.0, min(due for due, _ in self._aside) - time.monotonic())
        try:
            async with asyncio.timeout(pause):
                await self._wake.wait()
        except TimeoutError:
            pass

    async def _linger(self) -> None:
        """Give the batch time to fill, where the reaction allows for it."""
        linger = self._reaction.linger and not self._stopping.is_set()
        if linger and len(self._waiting) < BATCH:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._reaction.linger):
                    await self._stopping.wait()

    def _due_again(self) -> list[Delivery]:
        now = time.monotonic()
        due = [delivery for when, delivery in self._aside if when <= now]
        self._aside = [(when, delivery) for when, delivery in self._aside if when > now]
        return due

    async def _read(self, messages: Sequence[AbstractIncomingMessage]) -> list[Delivery]:
        now = self._clock()
        deliveries = []
        for message in messages:
            try:
                deliveries.append(self._reader.read(message, now))
            except Unreadable as error:
                await self._refuse(message, "unreadable", str(error), attempts=1)
        return deliveries

    async def _settle_batch(self, deliveries: list[Delivery]) -> None:
        """All in one transaction; one by one when any of them fails; again after trouble."""
        attempt = 0
        while deliveries := [each for each in deliveries if not _is_gone(each.message)]:
            try:
                verdicts = await self._handle(deliveries)
            except Exception as error:
                if is_trouble(error) or isinstance(error, InboxUnavailable):
                    attempt += 1
                    if not await self._hold(attempt, error):
                        return
                elif len(deliveries) > 1:
                    for delivery in deliveries:
                        await self._settle_batch([delivery])
                    return
                else:
                    await self._failed(deliveries[0], error)
                    return
            else:
                self._held(0)
                await self._settle(deliveries, verdicts)
                return

    async def _handle(self, deliveries: Sequence[Delivery]) -> list[Verdict]:
        async def work(unit: Unit) -> list[Verdict]:
            verdicts = await self._admit(unit, deliveries)
            if verdicts.count(Verdict.NEW) > 1:
                await unit.foresee([delivery.event.subject for delivery in deliveries])
            for delivery, verdict in zip(deliveries, verdicts, strict=True):
                if verdict is Verdict.NEW:
                    await self._react(unit, delivery)
            return verdicts

        started = time.perf_counter()
        verdicts = await self._transactions.run(work)
        self._duration.observe(time.perf_counter() - started)
        return verdicts

    async def _admit(self, unit: Unit, deliveries: Sequence[Delivery]) -> list[Verdict]:
        messages = [(delivery.event.id, delivery.payload_hash) for delivery in deliveries]
        try:
            return await self._inbox.admit(unit.connection, self.queue, messages)
        except Exception as error:
            if is_trouble(error):
                raise
            raise InboxUnavailable(describe(error)) from error

    async def _react(self, unit: Unit, delivery: Delivery) -> None:
        event = delivery.event
        identifier = str(event.id)
        with (
            structlog.contextvars.bound_contextvars(event_id=identifier, purchase=event.subject),
            caused_by(identifier),
            self._span(event.traceparent),
        ):
            await self._reaction.handler(unit, event)

    def _span(self, traceparent: str | None) -> AbstractContextManager[Any]:
        if traceparent is None:
            return nullcontext()
        return _tracer.start_as_current_span(
            f"process {self.queue}",
            extract({"traceparent": traceparent}),
            trace.SpanKind.CONSUMER,
        )

    async def _settle(self, deliveries: Sequence[Delivery], verdicts: Sequence[Verdict]) -> None:
        now = self._clock()
        for delivery, verdict in zip(deliveries, verdicts, strict=True):
            if verdict is Verdict.TAMPERED:
                _log.error("same id, other content", queue=self.queue, id=str(delivery.event.id))
                text = "the inbox knows this id with another content"
                await self._refuse(delivery.message, "tampered", text, attempts=1)
                continue
            if verdict is Verdict.NEW:
                self._handled.inc()
                self._lag.observe(_seconds(now, delivery.event.time))
            else:
                metrics.DUPLICATES.labels(self.queue).inc()
            await self._acknowledge(delivery.message)

    async def _acknowledge(self, message: AbstractIncomingMessage) -> None:
        try:
            await message.ack()
        except BROKER_ERRORS as error:  # it comes again, and meets its inbox row
            _log.info("acknowledgement lost", queue=self.queue, error=describe(error))

    async def _failed(self, delivery: Delivery, error: Exception) -> None:
        delivery.attempts += 1
        text = describe(error)
        _log.warning(
            "reaction failed", queue=self.queue, id=str(delivery.event.id),
            attempt=delivery.attempts, error=text,
        )  # fmt: skip
        if delivery.attempts >= ATTEMPTS:
            await self._refuse(delivery.message, "failed", text, attempts=delivery.attempts)
            return
        metrics.RETRIES.labels(self.queue).inc()
        pause = backoff(delivery.attempts, first=self._retry_after)
        self._aside.append((time.monotonic() + pause, delivery))

    async def _refuse(
        self, message: AbstractIncomingMessage, why: str, error: str, *, attempts: int
    ) -> None:
        """To the dead letters, and only then acknowledged; tried until the broker takes it."""
        attempt = 0
        while not _is_gone(message):
            try:
                await self._refusals.send(message, queue=self.queue, error=error, attempts=attempts)
            except Exception as failure:
                attempt += 1
                if not await self._hold(attempt, failure):
                    return
            else:
                _log.error("dead letter", queue=self.queue, id=message.message_id, error=error)
                metrics.REFUSED.labels(self.queue, why).inc()
                self._held(0)
                await self._acknowledge(message)
                return

    async def _hold(self, attempt: int, error: Exception) -> bool:
        """Wait before the next attempt; False when there is none because we are stopping."""
        if self._stopping.is_set():
            return False
        self._held(1)
        _log.warning(
            "holding",
            queue=self.queue,
            attempt=attempt,
            error=describe(error.__cause__ or error),
        )
        self._turns.release()  # another queue may fare better meanwhile
        try:
            async with asyncio.timeout(backoff(attempt)):
                await self._stopping.wait()
        except TimeoutError:
            return True
        finally:
            await self._turns.acquire()
        return False

    def _held(self, value: int) -> None:
        metrics.HELD.labels(self.queue).set(value)


def _is_gone(message: AbstractIncomingMessage) -> bool:
    """Its channel is closed: it cannot be settled here, and comes again on another channel."""
    try:
        return message.channel.is_closed
    except ChannelInvalidStateError:
        return True


def _seconds(now: datetime, then: datetime) -> float:
    return max(0.0, (now - then).total_seconds())
