"""A batch on its way to the broker, on one confirming channel.

aiormq's own `basic_publish` takes a lock, a timeout, a queue and a write for each message: four
times the work of everything else a relay does with it. Here all messages that may go now share
them. What the channel knows of messages in flight (delivery tags, confirms, returns) stays its own.
"""

import asyncio
import logging
from collections.abc import Sequence
from functools import partial

from aiormq.abc import ChannelFrame
from aiormq.channel import Channel
from aiormq.exceptions import DeliveryError, PublishError

from libs.messaging.relay.claims import Message, Run
from libs.messaging.relay.frames import Frames

log = logging.getLogger(__name__)


class Flight:
    """The first message of each run goes at once, the next when the one before is confirmed.

    How far each run got, and why not further, is noted in the run. `until` (the loop's time) is
    when runs stop taking further messages.
    """

    def __init__(
        self, channel: Channel, frames: Frames, runs: Sequence[Run], *, until: float
    ) -> None:
        self._channel = channel
        self._frames = frames
        self._loop = asyncio.get_running_loop()
        self._until = until
        self._ready = list(runs)
        self._unconfirmed: dict[asyncio.Future[object], Run] = {}
        self._progress = asyncio.Event()

    @property
    def unconfirmed(self) -> Sequence[Run]:
        """The runs whose message is on its way and not answered for."""
        return list(self._unconfirmed.values())

    async def land(self) -> None:
        """Until the broker has answered for everything. Raises what aiormq raises when the channel
        is closed; one that closes meanwhile leaves this waiting.
        """
        try:
            while self._ready or self._unconfirmed:
                if self._ready:
                    ready, self._ready = self._ready, []
                    await self._send(ready)
                else:
                    self._progress.clear()
                    await self._progress.wait()
        finally:
            for confirmation in self._unconfirmed:
                confirmation.cancel()

    async def _send(self, runs: Sequence[Run]) -> None:
        sent: list[tuple[Run, Message]] = []
        payload = bytearray()
        for run in runs:
            message = run.messages[run.confirmed]
            try:
                payload += self._frames.of(message, self._channel)
            except (TypeError, ValueError) as error:
                run.error = f"cannot be sent: {error}"
            else:
                sent.append((run, message))
        async with self._channel.lock:
            await self._channel.write_queue.put(ChannelFrame(bytes(payload), should_close=False))
            for run, message in sent:  # nothing awaits in here: no answer can come before
                self._expect(run, message)

    def _expect(self, run: Run, message: Message) -> None:
        channel, message_id = self._channel, str(message.id)
        confirmation = self._loop.create_future()
        confirmation.add_done_callback(partial(self._answered, message_id))
        self._unconfirmed[confirmation] = run
        channel.delivery_tag += 1
        channel.confirmations[channel.delivery_tag] = confirmation
        channel.message_id_delivery_tag[message_id] = channel.delivery_tag

    def _answered(self, message_id: str, confirmation: asyncio.Future[object]) -> None:
        self._channel.message_id_delivery_tag.pop(message_id, None)
        if confirmation.cancelled():
            return
        run = self._unconfirmed.pop(confirmation)
        error = confirmation.exception()
        if error is None:
            run.confirmed += 1
            if not run.done and self._loop.time() < self._until:
                self._ready.append(run)
        else:
            run.error = _reason(error)
        if self._ready or not self._unconfirmed:
            self._progress.set()


def _reason(error: BaseException) -> str:
    match error:
        case PublishError():
            return f"returned: {error.args[0]}"
        case DeliveryError():
            return "nacked by the broker"
    return f"{type(error).__name__}: {error}"
