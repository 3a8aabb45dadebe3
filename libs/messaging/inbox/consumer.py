"""A consumer handles the messages of one queue in transactions, several at a time, each message
with one effect.
"""

import asyncio
import time
from collections import Counter, deque
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any, Generic

import structlog
from aio_pika.abc import AbstractIncomingMessage

from libs.kernel.clock import Clock, utc_now
from libs.messaging.backoff import backoff
from libs.messaging.inbox import metrics, retries
from libs.messaging.inbox.batches import BatchFailed, BatchHandler, InboxUnavailable
from libs.messaging.inbox.database import Database
from libs.messaging.inbox.delivery import Delivery, Reader, Unreadable, is_gone
from libs.messaging.inbox.failures import (
    BROKER_ERRORS,
    describe,
    is_blocked,
    is_infrastructure_error,
    is_of_the_whole_server,
    sqlstate,
    summarize,
)
from libs.messaging.inbox.inbox import Inbox, Verdict
from libs.messaging.inbox.rejections import Rejection, Rejections, acknowledge
from libs.messaging.inbox.retries import DelayedRetries
from libs.messaging.outbox.unit_of_work import Transactions, Unit
from libs.messaging.saga.reactions import Reaction, Step
from libs.messaging.schema.inbox_window import InboxWindow

BATCH = 100
"""One transaction handles at most this many messages. A batch takes what is waiting; it does not
wait until it is full.
"""

WHOLE_ROUNDS = 2
"""A batch that fails is tried again this many times, as a whole or without the message that failed.
Then its messages are handled one by one.
"""

MOST_AHEAD = timedelta(days=1)
"""An id from further ahead of the database's clock is rejected: the consumer does not wait for a
clock that is wrong by more.
"""

AHEAD_CHECK_SECONDS = 60.0

CLOCK_SECONDS = 60.0
"""When the database's last answer is older than this, it is asked for its time again."""

IDLE_SECONDS = 2.0
"""A step that gets no message ends after this time. The error of an earlier step is then no longer
reported.
"""

GIVE_BACK_SECONDS = 5.0

_log = structlog.get_logger(__name__)


class QueueConsumer(Generic[Unit]):
    """A consumer takes the messages of one queue and settles each: acknowledged after its commit,
    tried again later, or rejected.

    `slots` bounds the transactions at work at the same time, over all queues of a process.
    """

    def __init__(
        self,
        reaction: Reaction[Unit],
        transactions: Transactions[Unit],
        inbox: Inbox,
        rejections: Rejections,
        database: Database,
        *,
        window: InboxWindow,
        slots: asyncio.Semaphore,
        clock: Clock = utc_now,
    ) -> None:
        self.queue = reaction.queue
        self._step = reaction.step
        self._batch_delay = reaction.batch_delay
        self._batches = BatchHandler(reaction, transactions, inbox)
        self._reader = Reader(reaction)
        self._rejections = rejections
        self._database = database
        self._window = window
        self._slots = slots
        self._clock = clock
        self._retries = DelayedRetries()
        self._waiting: deque[AbstractIncomingMessage] = deque()
        self._unsettled: set[AbstractIncomingMessage] = set()
        self._wake = asyncio.Event()
        self._stopping = asyncio.Event()
        self._committed_at = float("-inf")
        metrics.start_at_zero(self.queue)
        self._held = metrics.Held(self.queue)
        self._handled = metrics.HANDLED.labels(self.queue)
        self._lag = metrics.LAG.labels(self.queue)

    def take(self, message: AbstractIncomingMessage) -> None:
        """Take a message. The caller keeps the order in which messages arrive."""
        self._unsettled.add(message)
        self._waiting.append(message)
        self._wake.set()

    def stop(self) -> None:
        """Let the current step handle what has been taken and return. What is tried again later, or
        waits for the database, stays unacknowledged: the broker delivers it again.
        """
        self._stopping.set()
        self._wake.set()

    def retry_reasons(self) -> Counter[str]:
        """Return how many messages are tried again later, by reason."""
        return self._retries.reasons()

    async def step(self) -> None:
        """Wait for messages and handle a batch of them, or one delayed retry that is due.

        When it raises, the broker delivers again what is not settled.
        """
        try:
            await self._wait()
            if self._waiting:
                await self._handle_waiting()
            if (delivery := self._retries.take_due()) and not self._stopping.is_set():
                await self._handle_alone(delivery)
        except BaseException:
            await self._give_back()
            raise
        finally:
            self._held.set(held=False)

    async def _wait(self) -> None:
        if self._waiting or self._stopping.is_set():
            return
        self._wake.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(min(IDLE_SECONDS, self._retries.seconds_until_due())):
                await self._wake.wait()

    async def _handle_waiting(self) -> None:
        """Handle one batch, or all that wait when the consumer is stopping."""
        while await self._database_answers(within=CLOCK_SECONDS):
            await self._let_the_batch_fill()
            async with self._slots:  # messages that arrive until a slot is free join the batch
                deliveries = await self._next_batch()
                failure = await self._try(deliveries)
            if failure:
                await self._handle_failed_batch(deliveries, failure)
            if not (self._stopping.is_set() and self._waiting):
                return

    async def _database_answers(self, *, within: float = 0.0, **about: object) -> bool:
        """Wait until the database answers. Meanwhile this queue holds no slot, so that another one
        can use it. Returns False when stopping.
        """
        attempt = 0
        while not await self._database.answers(within=within):
            if self._stopping.is_set():
                return False
            attempt += 1
            await self._back_off(attempt, **about)
        self._held.set(held=False)
        return True

    async def _let_the_batch_fill(self) -> None:
        if self._batch_delay and len(self._waiting) < BATCH and not self._stopping.is_set():
            await self._pause(self._batch_delay)

    async def _next_batch(self) -> list[Delivery]:
        """Return the next messages, sorted by subject, so that batches of two queues lock the same
        rows in the same order. Messages of one subject keep their order of arrival.
        """
        deliveries = []
        for _ in range(min(len(self._waiting), BATCH)):
            message = self._waiting.popleft()
            try:
                delivery = self._reader.read(message)
            except Unreadable as error:
                self._reject(message, "unreadable", str(error))
            else:
                if await self._is_of_age(delivery):
                    deliveries.append(delivery)
        return sorted(deliveries, key=lambda delivery: delivery.event.subject)

    async def _is_of_age(self, delivery: Delivery) -> bool:
        """Return whether the inbox's window holds the id, by the database's clock.

        An id that is too old is rejected, because the row of its first copy may be gone. An id from
        the future comes from a publisher whose clock is wrong. It is tried again later, until its
        time has come.
        """
        made_at = delivery.made_at
        if self._window.holds(made_at, self._database.now()):
            return True
        if not await self._database.answers(within=1.0):
            self._retries.add(delivery, seconds=1.0, reason="the database does not tell the time")
            return False
        now = self._database.now()
        if self._window.holds(made_at, now):
            return True
        early = (made_at - self._window.ahead - now).total_seconds()
        if 0 < early <= MOST_AHEAD.total_seconds():
            self._retries.add(
                delivery,
                seconds=min(early, AHEAD_CHECK_SECONDS),
                reason=f"{delivery.event.source[:50]}'s clock is ahead of the database's",
            )
            _log.warning(
                "retried later",
                queue=self.queue,
                **self._named(delivery),
                error="the id is made ahead of its time",
            )
        else:
            text = f"the id was made outside the inbox's window: at {made_at:%Y-%m-%d %H:%M} UTC"
            self._reject(delivery.message, "unreadable", text)
        return False

    async def _try(self, deliveries: list[Delivery]) -> BatchFailed | None:
        """Handle and settle them in one transaction. Returns the failure, or None."""
        present = self._without_gone(deliveries)
        if not present:
            return None
        try:
            verdicts = await self._batches.handle(present)
        except BatchFailed as failure:
            return failure
        self._committed_at = time.monotonic()
        await self._settle(present, verdicts)
        return None

    def _without_gone(self, deliveries: Sequence[Delivery]) -> list[Delivery]:
        gone = [delivery for delivery in deliveries if delivery.is_gone]
        self._unsettled.difference_update(delivery.message for delivery in gone)
        return [delivery for delivery in deliveries if delivery not in gone]

    async def _handle_failed_batch(
        self, deliveries: list[Delivery], failure: BatchFailed | None
    ) -> None:
        """Find the message that makes the batch fail. After an infrastructure error the batch is
        tried again as a whole, which keeps its order. A message whose reaction failed, or was
        blocked while the database answers, is taken out, and both the message and the rest are
        tried again. After WHOLE_ROUNDS all messages are handled one by one.
        """
        attempt = 0
        while failure:
            attempt += 1
            about = {"messages": len(deliveries), **self._described(failure)}
            own = not _is_infrastructure(failure.error)
            if self._stopping.is_set() and not own:
                return
            answers = own or await self._database.answers()
            if not answers and not await self._database_answers(**about):
                return
            if isinstance(failure.error, InboxUnavailable):
                await self._back_off(attempt, **about)
            elif attempt <= WHOLE_ROUNDS and not (own or (answers and is_blocked(failure.error))):
                pass
            elif len(deliveries) == 1:
                self._retry_or_reject(deliveries[0], failure.error, answered=answers)
                return
            elif attempt > WHOLE_ROUNDS or (own and failure.delivery is None):
                for delivery in deliveries:
                    await self._handle_alone(delivery)
                return
            elif failure.delivery is not None:
                deliveries.remove(failure.delivery)
                self._set_apart(failure.delivery, failure.error)
            async with self._slots:
                failure = await self._try(deliveries)

    async def _handle_alone(self, delivery: Delivery) -> None:
        if not self._without_gone([delivery]) or not await self._is_of_age(delivery):
            return
        async with self._slots:
            failure = await self._try([delivery])
        if failure:
            await self._handle_failed_batch([delivery], failure)

    async def _back_off(self, attempt: int, **about: object) -> None:
        self._held.set(held=True)
        _log.warning("waiting for the database", queue=self.queue, attempt=attempt, **about)
        await self._pause(backoff(attempt))

    async def _pause(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    def _set_apart(self, delivery: Delivery, error: Exception) -> None:
        """Take the message out of a failed batch and try it again by itself at once."""
        if _is_infrastructure(error) and delivery.blocked_since is None:
            delivery.blocked_since = time.monotonic()
        self._retry(delivery, error, seconds=0.0)

    def _retry_or_reject(self, delivery: Delivery, error: Exception, *, answered: bool) -> None:
        """Try a message again that failed in a transaction of its own, or reject it. `answered`
        says that the database answered at once.
        """
        if not _is_infrastructure(error):
            delivery.failed_attempts += 1
            if delivery.failed_attempts >= retries.OWN_ATTEMPTS:
                text = describe(error)
                self._reject(delivery.message, "failed", text, attempts=delivery.failed_attempts)
                return
            pause = backoff(delivery.failed_attempts, first=retries.OWN_FIRST_SECONDS)
            self._retry(delivery, error, seconds=pause)
        elif self._counts(delivery, error, answered=answered):
            delivery.blocked_attempts += 1
            if delivery.blocked_attempts > len(retries.BLOCKED_DELAYS):
                text = describe(error)
                self._reject(delivery.message, "failed", text, attempts=delivery.blocked_attempts)
                return
            pause = retries.BLOCKED_DELAYS[delivery.blocked_attempts - 1]
            self._retry(delivery, error, seconds=pause)
        else:
            self._retry(delivery, error, seconds=retries.SHARED_CAUSE_SECONDS)

    def _counts(self, delivery: Delivery, error: Exception, *, answered: bool) -> bool:
        """Return whether an attempt that met an infrastructure error counts against its message. It
        does when others have been handled since this message was first blocked, or when no other
        message is blocked and the database answers.
        """
        blocked_since = delivery.blocked_since
        if blocked_since is None:
            blocked_since = delivery.blocked_since = time.monotonic()
        if self._committed_at > blocked_since:
            return True
        return answered and not self._retries.any_blocked() and not is_of_the_whole_server(error)

    def _retry(self, delivery: Delivery, error: Exception, *, seconds: float) -> None:
        _log.warning("retried later", queue=self.queue, **self._named(delivery), **_of(error))
        metrics.RETRIES.labels(self.queue).inc()
        self._retries.add(delivery, seconds=seconds, reason=summarize(error))

    async def _settle(self, deliveries: Sequence[Delivery], verdicts: Sequence[Verdict]) -> None:
        """Acknowledge first, measure afterwards: no metric may cost an acknowledgement."""
        for delivery, verdict in zip(deliveries, verdicts, strict=True):
            if verdict is Verdict.TAMPERED:
                _log.error("same id, other content", queue=self.queue, **self._named(delivery))
                text = "the inbox knows this id with another content"
                self._reject(delivery.message, "tampered", text)
            else:
                await self._acknowledge(delivery.message)
        now = self._clock()
        for delivery, verdict in zip(deliveries, verdicts, strict=True):
            if verdict is Verdict.NEW:
                lag = _seconds(now, delivery.event.time)
                self._handled.inc()
                self._lag.observe(lag)
                self._tell(delivery, lag)
            elif verdict is Verdict.DUPLICATE:
                metrics.DUPLICATES.labels(self.queue).inc()

    def _tell(self, delivery: Delivery, lag: float) -> None:
        """Log one line for each step of a saga. Views are left out: they would add a dozen lines
        for each event.
        """
        if self._step is not Step.VIEW:
            _log.info(
                "step done",
                queue=self.queue,
                subject=delivery.event.subject,
                event_id=str(delivery.event.id),
                ms=round(lag * 1000, 1),
            )

    async def _acknowledge(self, message: AbstractIncomingMessage) -> None:
        await acknowledge(message, self.queue)
        self._unsettled.discard(message)

    def _reject(
        self,
        message: AbstractIncomingMessage,
        why: metrics.Why,
        error: str,
        *,
        attempts: int = 1,
    ) -> None:
        self._unsettled.discard(message)
        self._rejections.add(Rejection(message, why, error, attempts))

    async def _give_back(self) -> None:
        """Make the broker deliver again all messages that are not settled. On a connection that is
        closing the broker does so by itself.
        """
        unsettled, self._unsettled = self._unsettled, set()
        self._waiting.clear()
        self._retries.clear()
        if self._stopping.is_set():
            return
        with suppress(*BROKER_ERRORS):
            async with asyncio.timeout(GIVE_BACK_SECONDS):
                for message in unsettled:
                    if not is_gone(message):
                        await message.nack(requeue=True)

    def _described(self, failure: BatchFailed) -> dict[str, Any]:
        named = self._named(failure.delivery) if failure.delivery else {}
        error = failure.error
        cause = error.__cause__ if isinstance(error, InboxUnavailable) else None
        return {**named, **_of(cause or error)}

    def _named(self, delivery: Delivery) -> dict[str, str]:
        event = delivery.event
        return {"id": str(event.id), "type": event.type}


def _is_infrastructure(error: Exception) -> bool:
    return isinstance(error, InboxUnavailable) or is_infrastructure_error(error)


def _of(error: BaseException) -> dict[str, Any]:
    return {"error": describe(error), "sqlstate": sqlstate(error)}


def _seconds(now: datetime, then: datetime) -> float:
    return max(0.0, (now - then).total_seconds())
