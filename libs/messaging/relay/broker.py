"""The relay connects to RabbitMQ, and checks that exchange and queues exist there."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress

import aiormq
from aiormq.abc import AbstractChannel
from aiormq.channel import Channel
from aiormq.exceptions import AMQPError, ChannelInvalidStateError, ChannelNotFoundEntity
from yarl import URL

from libs.messaging.broker_url import BrokerUrl, connect_to_any, places

HEARTBEAT_SECONDS = 10


class BrokerUnavailable(Exception):
    """Nothing can be published now, and no row is to blame. The message says why."""


class Broker:
    """A `Broker` is one connection, opened again when it is gone; publishers have their own
    channels.

    `timeout` (seconds) bounds each step of connecting. `expected_queues` names the queues that must
    be there for each event type; `missing_queues` those that are not.
    """

    def __init__(
        self,
        service: str,
        url: BrokerUrl,
        *,
        expected_queues: Mapping[str, Sequence[str]] | None = None,
        timeout: float = 5.0,
    ) -> None:
        self.exchange = service
        self.timeout = timeout
        self.missing_queues: dict[str, list[str]] = {}
        self._expected = dict(expected_queues or {})
        self.user = places(url)[0].user or "guest"
        self._url = url
        self._connection: aiormq.Connection | None = None
        self._opening = asyncio.Lock()

    @property
    def is_open(self) -> bool:
        return self._connection is not None and self._connection.is_opened

    async def open(self) -> aiormq.Connection:
        """Return an open connection to a broker that takes messages. Raises BrokerUnavailable."""
        async with self._opening:
            connection = self._connection
            if connection is None or not connection.is_opened:
                await self.close()
                connection = self._connection = await connect_to_any(self._url, self._connect)
        await self.check_takes_messages()
        return connection

    async def _connect(self, place: URL) -> aiormq.Connection:
        connection = aiormq.Connection(
            place.update_query(name=f"{self.exchange} relay", heartbeat=HEARTBEAT_SECONDS)
        )
        with broker_errors():
            async with asyncio.timeout(self.timeout):
                await connection.connect()
        return connection

    async def answers(self) -> bool:
        """Return whether there is a connection, or can be one within a second."""
        try:
            async with asyncio.timeout(1):
                await self.open()
        except (TimeoutError, BrokerUnavailable):
            return False
        return True

    async def check_takes_messages(self) -> None:
        """Raise BrokerUnavailable while the broker blocks publishers."""
        if self._connection is None:
            raise BrokerUnavailable("the connection is closed")
        try:
            async with asyncio.timeout(0.05):
                await self._connection.ready()
        except TimeoutError:
            raise BrokerUnavailable("the broker blocks publishers (memory or disk alarm)") from None

    async def confirming_channel(self) -> Channel:
        connection = await self.open()
        with broker_errors():
            async with asyncio.timeout(self.timeout):
                channel = await _channel(connection, confirms=True)
        if not isinstance(channel, Channel):  # the interface does not know `closing`
            raise TypeError(f"aiormq made a {type(channel).__name__}")
        return channel

    async def check_topology(self) -> None:
        """Refresh `missing_queues`. Raises BrokerUnavailable when the exchange is missing."""
        look = _Look(await self.open(), self.timeout)
        with broker_errors():
            if not await look.for_exchange(self.exchange):
                raise BrokerUnavailable(f"exchange {self.exchange} is missing")
            missing = {
                event_type: [queue for queue in queues if not await look.for_queue(queue)]
                for event_type, queues in self._expected.items()
            }
            await look.end()
            self.missing_queues = {kind: queues for kind, queues in missing.items() if queues}

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(BrokerUnavailable), broker_errors():
                async with asyncio.timeout(2):
                    await connection.close()


class _Look:
    """A look asks whether exchanges and queues are there. All are asked on one channel, and each
    that is missing closes it.

    Each answer has the whole timeout: with one timeout for all, a broker that is slow at everything
    would be asked from the beginning for ever.
    """

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


async def _channel(connection: aiormq.Connection, *, confirms: bool) -> AbstractChannel:
    try:
        return await connection.channel(publisher_confirms=confirms)
    except RuntimeError as error:  # aiormq raises it on a closed connection
        raise BrokerUnavailable(str(error)) from error


_LOST = (
    AMQPError,
    ChannelInvalidStateError,
    OSError,
    EOFError,
    StopAsyncIteration,  # aiormq's, for a connection that is cut during the handshake
)


@contextmanager
def broker_errors() -> Iterator[None]:
    """Turn what the protocol library raises into BrokerUnavailable.

    It also raises CancelledError when the connection closes during a call. Nobody has cancelled the
    task then.
    """
    try:
        yield
    except asyncio.CancelledError:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise BrokerUnavailable("the connection closed") from None
    except TimeoutError as error:
        raise BrokerUnavailable("no answer in time") from error
    except _LOST as error:
        raise BrokerUnavailable(f"{type(error).__name__}: {error}") from error
