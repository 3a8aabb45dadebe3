"""A batch handles several messages of one queue in one transaction, with their inbox and outbox."""

import time
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Generic

import structlog

from libs.messaging import tracing
from libs.messaging.envelope import Received
from libs.messaging.inbox import metrics
from libs.messaging.inbox.delivery import Delivery
from libs.messaging.inbox.failures import is_infrastructure_error
from libs.messaging.inbox.inbox import Inbox, Verdict
from libs.messaging.outbox.causation import caused_by
from libs.messaging.outbox.unit_of_work import Transactions, Unit
from libs.messaging.saga.reactions import Reaction


class InboxUnavailable(Exception):
    """The inbox itself refuses, for example because its table is missing: no message is to blame.
    `__cause__` is the error.
    """


class BatchFailed(Exception):
    """`error` undid the transaction. The reaction to `delivery` raised it; None when the inbox,
    what the unit of work does for all, or the commit raised it.
    """

    def __init__(self, error: Exception, delivery: Delivery | None) -> None:
        super().__init__()
        self.error = error
        self.delivery = delivery


class BatchHandler(Generic[Unit]):
    """A `BatchHandler` runs one reaction for the messages of a batch that are new to the inbox."""

    def __init__(
        self, reaction: Reaction[Unit], transactions: Transactions[Unit], inbox: Inbox
    ) -> None:
        self._queue = reaction.queue
        self._handler = reaction.handler
        self._transactions = transactions
        self._inbox = inbox
        self._duration = metrics.DURATION.labels(reaction.queue)

    async def handle(self, deliveries: Sequence[Delivery]) -> list[Verdict]:
        """Commit the effects of all. Returns one verdict each, in the same order.

        Raises BatchFailed; then there is no effect, or a commit of unknown outcome.
        """
        reacting: Delivery | None = None

        async def work(unit: Unit) -> list[Verdict]:
            nonlocal reacting
            reacting = None
            verdicts = await self._admit(unit, deliveries)
            if verdicts.count(Verdict.NEW) > 1:
                await unit.prepare_batch([delivery.event.subject for delivery in deliveries])
            for delivery, verdict in zip(deliveries, verdicts, strict=True):
                if verdict is Verdict.NEW:
                    reacting = delivery
                    await self._react(unit, delivery)
            reacting = None
            return verdicts

        started = time.perf_counter()
        try:
            verdicts = await self._transactions.run(work)
        except Exception as error:
            raise BatchFailed(error, reacting) from error
        self._duration.observe(time.perf_counter() - started)
        return verdicts

    async def _admit(self, unit: Unit, deliveries: Sequence[Delivery]) -> list[Verdict]:
        messages = [(delivery.event.id, delivery.payload_hash) for delivery in deliveries]
        try:
            return await self._inbox.admit(unit.connection, self._queue, messages)
        except Exception as error:
            if is_infrastructure_error(error):
                raise
            raise InboxUnavailable from error

    async def _react(self, unit: Unit, delivery: Delivery) -> None:
        event = delivery.event
        identifier = str(event.id)
        with (
            structlog.contextvars.bound_contextvars(event_id=identifier, subject=event.subject),
            caused_by(identifier),
            self._span(event),
        ):
            await self._handler(unit, event)

    def _span(self, event: Received[Any]) -> AbstractContextManager[None]:
        if event.traceparent is None:
            return nullcontext()
        return tracing.reaction(
            self._queue, event.source, event.type, str(event.id), event.traceparent
        )
