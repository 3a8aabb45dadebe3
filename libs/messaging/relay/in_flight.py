"""Messages are in flight while they are published on a channel with confirms and not confirmed.

aiormq's own `basic_publish` takes a lock, a timeout, a queue and a write for each message: four
times the work of everything else a relay does with it. Here all messages that may go now share
them. What the channel knows of messages in flight (delivery tags, confirms, returns) stays its own.
"""

import asyncio
from collections.abc import Callable, Sequence
from functools import partial

from aiormq.abc import ChannelFrame
from aiormq.channel import Channel
from aiormq.exceptions import DeliveryError, PublishError
from opentelemetry.trace import Span

from libs.messaging import tracing
from libs.messaging.relay import spans
from libs.messaging.relay.claims import Message, Outcome
from libs.messaging.relay.frames import Frames

Held = Callable[[Message], str | None]
"""Such a function says why a message must not go out now; None when it may."""

STRAGGLER_SECONDS = 0.5
"""A message is late when the broker's last answer for another one is older than this."""


class InFlight:
    """The first message of each subject goes at once, the next when the one before is confirmed.

    How far each got, and why not further, is written into its outcome. `held` says why a message
    must not go out now. `until` (the loop's time) is when subjects stop sending further messages.
    """

    def __init__(
        self,
        channel: Channel,
        frames: Frames,
        outcomes: Sequence[Outcome],
        *,
        held: Held,
        until: float,
    ) -> None:
        self.answers = 0
        self._channel = channel
        self._frames = frames
        self._held = held
        self._loop = asyncio.get_running_loop()
        self._started = self._last_answer = self._loop.time()
        self._seen_answers = 0
        self._until = until
        self._records = tracing.records()
        self._outcomes = outcomes
        self._ready = list(outcomes)
        self._unconfirmed: dict[asyncio.Future[object], Outcome] = {}
        self._progress = asyncio.Event()

    @property
    def unconfirmed(self) -> Sequence[Outcome]:
        """Return the subjects whose message was sent and is not confirmed yet."""
        return list(self._unconfirmed.values())

    def has_stragglers(self) -> bool:
        """Return whether the broker has answered for some messages, and the rest takes more than
        twice as long as these did. Only messages of other types count as late: a queue that has
        confirmed one message is slow, not silent. Call this from time to time: it notes when the
        last answer came.
        """
        now = self._loop.time()
        if self.answers != self._seen_answers:
            self._seen_answers, self._last_answer = self.answers, now
        took = self._last_answer - self._started
        silence = now - self._last_answer
        if self._ready or not self.answers or silence <= max(STRAGGLER_SECONDS, took):
            return False
        confirmed = {
            message.type
            for outcome in self._outcomes
            for message in outcome.rows.messages[: outcome.confirmed]
        }
        return confirmed.isdisjoint(each.next_message.type for each in self.unconfirmed)

    async def publish(self) -> None:
        """Publish until the broker has answered for everything. Raises what aiormq raises when the
        channel is closed. A channel that closes meanwhile does not end the waiting.
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

    async def _send(self, outcomes: Sequence[Outcome]) -> None:
        sent: list[tuple[Outcome, Message]] = []
        payload = bytearray()
        for outcome in outcomes:
            message = outcome.next_message
            outcome.error = self._held(message)
            if outcome.error is not None:
                continue
            try:
                payload += self._frames.of(message, self._channel)
            except (TypeError, ValueError) as error:
                outcome.error = f"cannot be sent: {error}"
            else:
                sent.append((outcome, message))
        if not sent:
            return
        async with self._channel.lock:
            await self._channel.write_queue.put(ChannelFrame(bytes(payload), should_close=False))
            for outcome, message in sent:  # nothing here awaits, so no answer can arrive earlier
                self._expect(outcome, message)

    def _expect(self, outcome: Outcome, message: Message) -> None:
        channel, message_id = self._channel, str(message.id)
        span = spans.publish(self._frames.service, message) if self._records else None
        confirmation = self._loop.create_future()
        confirmation.add_done_callback(partial(self._answered, message_id, span))
        self._unconfirmed[confirmation] = outcome
        channel.delivery_tag += 1
        channel.confirmations[channel.delivery_tag] = confirmation
        channel.message_id_delivery_tag[message_id] = channel.delivery_tag

    def _answered(
        self, message_id: str, span: Span | None, confirmation: asyncio.Future[object]
    ) -> None:
        self._channel.message_id_delivery_tag.pop(message_id, None)
        if confirmation.cancelled():
            tracing.end(span, "unanswered")
            return
        outcome = self._unconfirmed.pop(confirmation)
        self.answers += 1
        error = confirmation.exception()
        tracing.end(span, None if error is None else type(error).__name__)
        if error is None:
            outcome.confirmed += 1
            if not outcome.done and self._loop.time() < self._until:
                self._ready.append(outcome)
        else:
            outcome.error = _reason(error)
        if self._ready or not self._unconfirmed:
            self._progress.set()


def _reason(error: BaseException) -> str:
    match error:
        case PublishError():
            return f"returned: {error.args[0]}"
        case DeliveryError():
            return "nacked by the broker"
    return f"{type(error).__name__}: {error}"
