"""A publisher publishes to RabbitMQ and knows what became of each message.

It uses aiormq and no framework above it, because the relay's throughput depends on this code.
"""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import dataclass

from aiormq.channel import Channel
from aiormq.exceptions import ChannelLockedResource, ChannelPreconditionFailed

from libs.messaging.relay.broker import Broker, BrokerUnavailable, broker_errors
from libs.messaging.relay.claims import Outcome, SubjectRows
from libs.messaging.relay.frames import Frames
from libs.messaging.relay.in_flight import Held, InFlight

log = logging.getLogger(__name__)

SUBJECT_SECONDS = 0.25
"""After this time a subject sends no further messages, so that the batch does not wait for one
subject. Its other rows go with a later batch.
"""

LOOK_SECONDS = 0.1
"""While a batch is being published, the publisher checks at this interval whether the broker still
takes messages, and whether it is silent about some of them only.
"""


@dataclass
class Published:
    """`outcomes` say what became of the rows of each subject, in their order.

    `unavailable` says why publishing ended early; None when it did not.
    """

    outcomes: list[Outcome]
    unavailable: BrokerUnavailable | None = None

    @property
    def silent_types(self) -> set[str]:
        """Return the types of the messages that the broker did not answer for."""
        return {outcome.next_message.type for outcome in self.outcomes if outcome.silent}


class Publisher:
    """A publisher has one confirming channel, opened again when it is gone. One batch at a time."""

    def __init__(self, broker: Broker, frames: Frames, *, timeout: float = 5.0) -> None:
        """`timeout` (seconds) bounds each call of `publish`."""
        self._broker = broker
        self._frames = frames
        self._timeout = timeout
        self._channel: Channel | None = None

    async def open(self) -> None:
        """Make sure there is an open channel and the broker takes messages.

        A new channel begins with a look whether exchange and queues are there. Raises
        BrokerUnavailable.
        """
        await self._broker.open()
        if self._channel is None or self._channel.is_closed:
            await self._broker.check_topology()
            self._channel = await self._broker.confirming_channel()

    async def close(self) -> None:
        """Close the channel with its connection, which may serve other publishers too."""
        await self._broker.close()

    async def publish(self, subjects: Sequence[SubjectRows], held: Held) -> Published:
        """Publish all subjects at once, each one message after another.

        A message that is `held` fails. When the broker closes the channel over one message, the
        others go again one by one, to find out which. Messages that the broker is silent about,
        while it answered for others, fail.
        """
        published = Published([Outcome(rows) for rows in subjects])
        deadline = asyncio.get_running_loop().time() + self._timeout
        try:
            if self._channel is None:
                raise BrokerUnavailable("the channel is closed")
            rejected = await self._together(self._channel, published.outcomes, held, deadline)
            if rejected is not None:
                log.error("%s: the broker closed the channel: %s", self._broker.exchange, rejected)
                await self._one_by_one(published.outcomes, held, deadline, rejected)
        except BrokerUnavailable as error:
            published.unavailable = error
        return published

    async def _one_by_one(
        self, outcomes: Sequence[Outcome], held: Held, deadline: float, rejected: str
    ) -> None:
        for outcome in outcomes:
            if outcome.error is not None or outcome.done:
                continue
            if asyncio.get_running_loop().time() > deadline:
                raise BrokerUnavailable(rejected)
            channel = await self._broker.confirming_channel()
            why = await self._together(channel, [outcome], held, deadline)
            if why is not None:
                outcome.error = why
            await self._close(channel)

    async def _together(
        self, channel: Channel, outcomes: Sequence[Outcome], held: Held, deadline: float
    ) -> str | None:
        """Publish these at once. Returns why the broker closed the channel over one of the
        messages; None when it did not.
        """
        loop = asyncio.get_running_loop()
        until = loop.time() + SUBJECT_SECONDS
        in_flight = InFlight(channel, self._frames, outcomes, held=held, until=until)
        publishing, closing = asyncio.create_task(in_flight.publish()), channel.closing
        try:
            while not publishing.done() and not closing.done():
                left = deadline - loop.time()
                if left <= 0 or in_flight.has_stragglers():
                    await self._give_up(channel, in_flight, publishing)
                    return None
                done, _ = await asyncio.wait(
                    {publishing, closing},
                    timeout=min(left, LOOK_SECONDS),
                    return_when=asyncio.FIRST_COMPLETED,
                )
                if not done:
                    await self._broker.check_takes_messages()
            if publishing.done() or closing.exception() is None:
                with broker_errors():
                    await publishing
                return None
            return _rejected(closing.exception())
        finally:
            closing.cancel()
            publishing.cancel()
            await asyncio.gather(publishing, return_exceptions=True)

    async def _give_up(
        self, channel: Channel, in_flight: InFlight, publishing: asyncio.Task[None]
    ) -> None:
        """Note an error for every message that is not confirmed. A confirm that comes later is
        ignored.

        A channel on which nothing was answered is closed, or with it the connection: one queue that
        does not answer can keep the broker from answering anything on a channel. When the broker
        does not answer on a new connection either, it is silent, and no queue is to blame.
        """
        publishing.cancel()  # before errors are noted: a confirm must not come after them
        await asyncio.gather(publishing, return_exceptions=True)
        if in_flight.answers:
            answers, error = True, "no confirm, although others had theirs"
        else:
            answers = await self._close(channel) or await self._broker.answers()
            error = f"no confirm within {self._timeout:g} s"
        for outcome in in_flight.unconfirmed:
            outcome.error, outcome.silent = error, answers

    async def _close(self, channel: Channel) -> bool:
        """Close the channel. Returns False when the broker does not answer; the connection is then
        closed too.
        """
        if self._channel is channel:
            self._channel = None
        try:
            with broker_errors():
                async with asyncio.timeout(1):
                    await channel.close()
        except BrokerUnavailable:
            await self._broker.close()
            return False
        return True


def _rejected(closed: BaseException | None) -> str:
    """Return why a message made the broker close the channel. Raises BrokerUnavailable if it closed
    for any other reason.
    """
    reason = f"{type(closed).__name__}: {closed}"
    if isinstance(closed, ChannelPreconditionFailed | ChannelLockedResource):
        return reason
    raise BrokerUnavailable(reason) from closed
