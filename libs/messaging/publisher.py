"""Publishes to RabbitMQ and knows what became of each message.

aiormq rather than a framework above it: this is where the throughput of the whole is decided.
"""

import asyncio
import logging
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import aiormq
from aiormq.channel import Channel
from aiormq.exceptions import (
    AMQPError,
    ChannelClosed,
    ChannelInvalidStateError,
    ChannelLockedResource,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
    DeliveryError,
    PublishError,
)
from yarl import URL

from libs.messaging.claims import Run
from libs.messaging.coalescing import CoalescingTransport
from libs.messaging.properties import Properties

log = logging.getLogger(__name__)

HEARTBEAT_SECONDS = 10

RUN_SECONDS = 0.25
"""A run stops after so long, so that a batch does not wait for one subject. The rest goes next."""


LOOK_SECONDS = 0.1
"""A batch that takes longer is looked at so often: does the broker still take anything?"""


class BrokerUnavailable(Exception):
    """Nothing can be published now; no row is to blame. The message says why."""


class Publisher:
    """A connection of its own, one confirming channel, reopened when it is gone.

    `timeout` (seconds) bounds each call of `publish`. Types in `final` go out without the
    mandatory flag. `expected_queues` names the queues that must be there for each event type.
    """

    def __init__(
        self,
        service: str,
        url: str,
        *,
        final: Collection[str] = (),
        expected_queues: Mapping[str, Sequence[str]] | None = None,
        timeout: float = 5.0,
    ) -> None:
        self.service = service
        self.missing_queues: dict[str, list[str]] = {}
        self._final = frozenset(final)
        self._expected = dict(expected_queues or {})
        self._timeout = timeout
        target = URL(url)
        self._properties = Properties(service, target.user or "guest")
        self._url = target.update_query(name=f"{service} relay", heartbeat=HEARTBEAT_SECONDS)
        self._transport = CoalescingTransport() if target.scheme == "amqp" else None
        self._connection: aiormq.Connection | None = None
        self._channel: Channel | None = None

    async def open(self) -> None:
        """Make sure there is an open channel and the broker takes messages.

        After a reconnect, look whether exchange and queues are there. Raises BrokerUnavailable.
        """
        connection = self._connection
        if connection is not None and connection.is_opened:
            await self._unblocked(connection)
            if self._channel is not None and not self._channel.is_closed:
                return
        try:
            with _broker_errors():
                async with asyncio.timeout(self._timeout):
                    if connection is None or not connection.is_opened:
                        await self.close()
                        connection = aiormq.Connection(self._url, transport_factory=self._transport)
                        await connection.connect()
                        self._connection = connection
                    await self.check_topology()
                    self._channel = await _confirming_channel(connection)
        except BrokerUnavailable:
            await self.close()
            raise

    async def check_topology(self) -> None:
        """Refresh `missing_queues`. Raises BrokerUnavailable when the exchange is not there."""
        if self._connection is not None:
            await self._unblocked(self._connection)
        with _broker_errors():
            if not await self._there("exchange", self.service):
                raise BrokerUnavailable(f"exchange {self.service} is missing")
            missing = {
                event_type: [queue for queue in queues if not await self._there("queue", queue)]
                for event_type, queues in self._expected.items()
            }
            self.missing_queues = {kind: queues for kind, queues in missing.items() if queues}

    async def _there(self, kind: str, name: str) -> bool:
        if self._connection is None:
            raise BrokerUnavailable("not connected")
        async with asyncio.timeout(self._timeout):
            channel = await self._connection.channel(publisher_confirms=False)
            try:
                if kind == "exchange":
                    await channel.exchange_declare(name, passive=True)
                else:
                    await channel.queue_declare(name, passive=True)
            except ChannelNotFoundEntity:
                return False
            await channel.close()
            return True

    async def _unblocked(self, connection: aiormq.Connection) -> None:
        try:
            async with asyncio.timeout(0.05):
                await connection.ready()
        except TimeoutError:
            raise BrokerUnavailable("the broker blocks publishers (memory or disk alarm)") from None

    async def publish(self, runs: Sequence[Run]) -> None:
        """Publish all runs at once, each run one after another; note in each how far it got.

        Raises BrokerUnavailable when channel or connection broke; what was confirmed until then
        is noted. When the broker closes the channel over one message, the others go again one by
        one, to find out which.
        """
        if self._channel is None:
            raise BrokerUnavailable("the channel is closed")
        deadline = asyncio.get_running_loop().time() + self._timeout
        offence = await self._together(self._channel, runs, deadline)
        if offence is None:
            return
        log.error("%s: the broker closed the channel: %s", self.service, offence)
        for run in runs:
            if run.error is not None or run.done:
                continue
            if self._connection is None or asyncio.get_running_loop().time() > deadline:
                raise BrokerUnavailable(offence)
            with _broker_errors():
                async with asyncio.timeout_at(deadline):
                    channel = await _confirming_channel(self._connection)
            run.error = await self._together(channel, [run], deadline)
            await self._drop(channel)

    async def _together(self, channel: Channel, runs: Sequence[Run], deadline: float) -> str | None:
        """None, or why the broker closed the channel over a message, whichever it was."""
        loop = asyncio.get_running_loop()
        until = loop.time() + RUN_SECONDS
        tasks = [loop.create_task(self._in_turn(channel, run, until)) for run in runs]
        late = not await self._all_done(tasks, deadline)
        lost: BaseException | None = None
        for run, task in zip(runs, tasks, strict=True):
            error = asyncio.CancelledError() if task.cancelled() else task.exception()
            if error is None:
                continue
            if isinstance(error, DeliveryError) or not isinstance(error, _CLOSED):
                run.error = _reason(error)
            elif late:
                run.error = f"no confirm within {self._timeout:g} s"
            elif lost is None or isinstance(error, ChannelClosed):
                lost = error
        if late:
            await self._drop(channel)
        return _offence(lost)

    async def _all_done(self, tasks: Collection[asyncio.Task[None]], deadline: float) -> bool:
        """False when some were cancelled at the deadline. Raises BrokerUnavailable as soon as the
        broker blocks publishers; the connection is kept, for it hears when that is over.
        """
        waiting = set(tasks)
        try:
            async with asyncio.timeout_at(deadline):
                while waiting:
                    _, waiting = await asyncio.wait(waiting, timeout=LOOK_SECONDS)
                    if waiting and self._connection is not None:
                        await self._unblocked(self._connection)
        except TimeoutError:
            return False
        except BrokerUnavailable:
            self._channel = None  # what is in flight there may still arrive
            raise
        finally:
            if waiting:
                for task in waiting:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)
        return True

    async def _in_turn(self, channel: Channel, run: Run, until: float) -> None:
        for message in run.messages:
            await channel.basic_publish(
                message.body,
                exchange=self.service,
                routing_key=message.type,
                mandatory=message.type not in self._final,
                properties=self._properties.of(message),
                wait=False,
            )
            run.confirmed += 1
            if asyncio.get_running_loop().time() > until:
                return

    async def _drop(self, channel: Channel) -> None:
        if self._channel is channel:
            self._channel = None
        try:
            with _broker_errors():
                async with asyncio.timeout(1):
                    await channel.close()
        except BrokerUnavailable:
            await self.close()

    async def close(self) -> None:
        self._channel = None
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(BrokerUnavailable), _broker_errors():
                async with asyncio.timeout(2):
                    await connection.close()


_LOST = (AMQPError, ChannelInvalidStateError, OSError, EOFError, TimeoutError)


_CLOSED = (*_LOST, asyncio.CancelledError)


@contextmanager
def _broker_errors() -> Iterator[None]:
    """What the protocol library raises becomes BrokerUnavailable.

    It also raises CancelledError, when the connection closes under a call: that is not ours.
    """
    try:
        yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise BrokerUnavailable("the connection closed") from None
    except _LOST as error:
        raise BrokerUnavailable(_reason(error)) from error


async def _confirming_channel(connection: aiormq.Connection) -> Channel:
    channel = await connection.channel(publisher_confirms=True)
    if not isinstance(channel, Channel):  # the interface does not know `wait`
        raise TypeError(f"aiormq made a {type(channel).__name__}")
    return channel


def _reason(error: BaseException) -> str:
    match error:
        case PublishError():
            return f"returned: {error.args[0]}"
        case DeliveryError():
            return "nacked by the broker"
    return f"{type(error).__name__}: {error}"


def _offence(lost: BaseException | None) -> str | None:
    if lost is None:
        return None
    if isinstance(lost, ChannelPreconditionFailed | ChannelLockedResource):
        return _reason(lost)
    raise BrokerUnavailable(_reason(lost)) from lost
