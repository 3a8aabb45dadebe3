"""Publishes to RabbitMQ and knows what became of each message.

aiormq rather than a framework above it: this is where the throughput of the whole is decided.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import aiormq
from aiormq.abc import AbstractChannel
from aiormq.channel import Channel
from aiormq.exceptions import (
    AMQPError,
    ChannelInvalidStateError,
    ChannelLockedResource,
    ChannelNotFoundEntity,
    ChannelPreconditionFailed,
)
from yarl import URL

from libs.messaging.relay.claims import Run
from libs.messaging.relay.flight import Flight
from libs.messaging.relay.frames import Frames

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
        self._expected = dict(expected_queues or {})
        self._timeout = timeout
        target = URL(url)
        self._frames = Frames(service, target.user or "guest", final)
        self._url = target.update_query(name=f"{service} relay", heartbeat=HEARTBEAT_SECONDS)
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
        # Each step has the whole time: a broker that is slow at everything must not be left, and
        # begun with again, for ever.
        try:
            with _broker_errors():
                if connection is None or not connection.is_opened:
                    await self.close()
                    connection = aiormq.Connection(self._url)
                    async with asyncio.timeout(self._timeout):
                        await connection.connect()
                    self._connection = connection
                await self.check_topology()
                async with asyncio.timeout(self._timeout):
                    self._channel = await _confirming_channel(connection)
        except BrokerUnavailable:
            await self.close()
            raise

    async def check_topology(self) -> None:
        """Refresh `missing_queues`, when there is a connection.

        Raises BrokerUnavailable when the exchange is not there.
        """
        if self._connection is None:
            return
        await self._unblocked(self._connection)
        look = _Look(self._connection, self._timeout)
        with _broker_errors():
            if not await look.for_exchange(self.service):
                raise BrokerUnavailable(f"exchange {self.service} is missing")
            missing = {
                event_type: [queue for queue in queues if not await look.for_queue(queue)]
                for event_type, queues in self._expected.items()
            }
            await look.end()
            self.missing_queues = {kind: queues for kind, queues in missing.items() if queues}

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
            offence = await self._together(channel, [run], deadline)
            if offence is not None:
                run.error = offence
            await self._drop(channel)

    async def _together(self, channel: Channel, runs: Sequence[Run], deadline: float) -> str | None:
        """None, or why the broker closed the channel over a message, whichever it was."""
        until = asyncio.get_running_loop().time() + RUN_SECONDS
        flight = Flight(channel, self._frames, runs, until=until)
        landing, closing = asyncio.create_task(flight.land()), channel.closing
        try:
            async with asyncio.timeout_at(deadline):
                await self._first_of(landing, closing)
            if landing.done() or closing.exception() is None:
                with _broker_errors():
                    await landing
                return None
            return _offence(closing.exception())
        except TimeoutError:
            landing.cancel()  # before the errors are noted: a confirm must not come after them
            await asyncio.gather(landing, return_exceptions=True)
            for run in flight.unconfirmed:
                run.error = f"no confirm within {self._timeout:g} s"
            await self._drop(channel)
            return None
        finally:
            closing.cancel()
            landing.cancel()
            await asyncio.gather(landing, return_exceptions=True)

    async def _first_of(self, *futures: asyncio.Future[None]) -> None:
        """Raises BrokerUnavailable as soon as the broker blocks publishers. The connection is kept,
        because it hears when that is over, and the channel: nobody waits for its late confirms.
        """
        while not any(future.done() for future in futures):
            first = asyncio.FIRST_COMPLETED
            done, _ = await asyncio.wait(futures, timeout=LOOK_SECONDS, return_when=first)
            if not done and self._connection is not None:
                await self._unblocked(self._connection)

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


class _Look:
    """Whether exchanges and queues are there. On one channel, which every no closes."""

    def __init__(self, connection: aiormq.Connection, timeout: float) -> None:
        self._connection = connection
        self._timeout = timeout
        self._channel: AbstractChannel | None = None

    async def for_exchange(self, name: str) -> bool:
        return await self._found(lambda channel: channel.exchange_declare(name, passive=True))

    async def for_queue(self, name: str) -> bool:
        return await self._found(lambda channel: channel.queue_declare(name, passive=True))

    async def end(self) -> None:
        if self._channel is not None:
            async with asyncio.timeout(self._timeout):
                await self._channel.close()

    async def _found(self, ask: Callable[[AbstractChannel], Awaitable[object]]) -> bool:
        async with asyncio.timeout(self._timeout):
            if self._channel is None:
                self._channel = await _channel(self._connection, confirms=False)
            try:
                await ask(self._channel)
            except ChannelNotFoundEntity:
                self._channel = None
                return False
            return True


_LOST = (
    AMQPError,
    ChannelInvalidStateError,
    OSError,
    EOFError,
    TimeoutError,
    StopAsyncIteration,  # aiormq's, when the connection is cut during the handshake
)


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
        raise BrokerUnavailable(f"{type(error).__name__}: {error}") from error


async def _channel(connection: aiormq.Connection, *, confirms: bool) -> AbstractChannel:
    try:
        return await connection.channel(publisher_confirms=confirms)
    except RuntimeError as error:  # aiormq's, when the connection is closed
        raise BrokerUnavailable(str(error)) from error


async def _confirming_channel(connection: aiormq.Connection) -> Channel:
    channel = await _channel(connection, confirms=True)
    if not isinstance(channel, Channel):  # the interface does not know `wait`
        raise TypeError(f"aiormq made a {type(channel).__name__}")
    return channel


def _offence(closed: BaseException | None) -> str:
    """Raises BrokerUnavailable when no message is to blame for that the channel closed."""
    reason = f"{type(closed).__name__}: {closed}"
    if isinstance(closed, ChannelPreconditionFailed | ChannelLockedResource):
        return reason
    raise BrokerUnavailable(reason) from closed
