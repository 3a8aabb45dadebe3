"""The messages that a queue gives up are published to the dead letters."""

import asyncio
from collections import deque
from dataclasses import dataclass

import structlog
from aio_pika.abc import AbstractIncomingMessage

from libs.messaging.inbox import metrics
from libs.messaging.inbox.dead_letter_publisher import DeadLetterPublisher
from libs.messaging.inbox.delivery import is_gone
from libs.messaging.inbox.failures import BROKER_ERRORS, describe

_log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Rejection:
    """`why` is one word for the metrics, `error` a sentence for the dead letter."""

    message: AbstractIncomingMessage
    why: metrics.Why
    error: str
    attempts: int


class Rejections:
    """Each rejected message is published to the dead letters, and only then acknowledged.

    This runs beside the queue's consumer: a broker that takes no dead letter just then (a memory
    alarm, a binding that is missing) does not delay the good messages.
    """

    def __init__(self, queue: str, publisher: DeadLetterPublisher) -> None:
        self._queue = queue
        self._publisher = publisher
        self._waiting: deque[Rejection] = deque()
        self._wake = asyncio.Event()
        self._stopping = False
        self._held = metrics.Held(queue)

    def add(self, rejection: Rejection) -> None:
        self._waiting.append(rejection)
        self._wake.set()

    def stop(self) -> None:
        """Make `step` return when it has sent what waits, or has failed to."""
        self._stopping = True
        self._held.set(held=False)
        self._wake.set()

    async def step(self) -> None:
        """Wait for rejected messages and send them. Raises what the broker raises; the message
        stays, and another one is tried first next time.
        """
        if not self._waiting and not self._stopping:
            self._wake.clear()
            await self._wake.wait()
        while self._waiting:
            try:
                await self._send(self._waiting[0])
            except BaseException:
                self._held.set(held=not self._stopping)
                self._waiting.rotate(-1)
                raise
            self._waiting.popleft()
            self._held.set(held=False)

    async def _send(self, rejection: Rejection) -> None:
        message = rejection.message
        if is_gone(message):
            return  # the broker delivers it again
        await self._publisher.send(
            message, queue=self._queue, error=rejection.error, attempts=rejection.attempts
        )
        _log.error("dead letter", queue=self._queue, id=message.message_id, error=rejection.error)
        metrics.REFUSED.labels(self._queue, rejection.why).inc()
        await acknowledge(message, self._queue)


async def acknowledge(message: AbstractIncomingMessage, queue: str) -> None:
    """A message whose acknowledgement is lost is delivered again; its inbox row then shows that it
    was handled. When the broker ends the connection, aiormq raises a bare Exception.
    """
    try:
        await message.ack()
    except Exception as error:
        if not isinstance(error, BROKER_ERRORS) and not is_gone(message):
            raise
        _log.info("acknowledgement lost", queue=queue, error=describe(error))
