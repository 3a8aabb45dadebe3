"""A message that a service gives up is published to its dead letters: mandatory and confirmed."""

import asyncio
from datetime import UTC, datetime
from functools import partial

import aio_pika
from aio_pika.abc import AbstractIncomingMessage

from libs.messaging.broker_url import BrokerUrl, connect_to_any
from libs.messaging.dead_letters.copies import (
    HEADER_ATTEMPTS,
    HEADER_ERROR,
    HEADER_QUEUE,
    HEADER_REFUSED_AT,
    copy_of,
)
from libs.messaging.names import dead_letter_exchange, dead_queue


class DeadLetterPublisher:
    """A publisher opens its own connection when there is something to publish: a memory alarm
    blocks connections that publish, and the one that consumes must go on acknowledging.
    """

    def __init__(self, service: str, rabbitmq_url: BrokerUrl, *, timeout: float = 5.0) -> None:
        self._service = service
        self._dead = dead_queue(service)
        self._url = rabbitmq_url
        self._timeout = timeout
        self._connection: aio_pika.abc.AbstractConnection | None = None
        self._exchange: aio_pika.abc.AbstractExchange | None = None
        self._one_at_a_time = asyncio.Lock()

    async def send(
        self, message: AbstractIncomingMessage, *, queue: str, error: str, attempts: int
    ) -> None:
        """Wait until the broker has taken the message into a queue, or raise (try again)."""
        copy = _copy(message, queue=queue, error=error, attempts=attempts)
        async with self._one_at_a_time:
            try:
                async with asyncio.timeout(self._timeout):
                    exchange = self._exchange or await self._open()
                    await exchange.publish(copy, self._dead, mandatory=True)
            except BaseException:
                await self.close()
                raise

    async def _open(self) -> aio_pika.abc.AbstractExchange:
        name = {"connection_name": f"{self._service} dead letters"}
        connection = await connect_to_any(
            self._url, partial(aio_pika.connect, client_properties=name)
        )
        self._connection = connection
        channel = await connection.channel(on_return_raises=True)
        self._exchange = await channel.get_exchange(
            dead_letter_exchange(self._service), ensure=False
        )
        return self._exchange

    async def close(self) -> None:
        connection, self._connection, self._exchange = self._connection, None, None
        if connection is not None:
            await connection.close()


def _copy(
    message: AbstractIncomingMessage, *, queue: str, error: str, attempts: int
) -> aio_pika.Message:
    return copy_of(
        message,
        {
            **message.headers,
            HEADER_QUEUE: queue,
            HEADER_ERROR: error[:1000],
            HEADER_ATTEMPTS: attempts,
            HEADER_REFUSED_AT: datetime.now(UTC),
        },
    )
