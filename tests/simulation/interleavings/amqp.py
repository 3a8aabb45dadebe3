"""Simulates the broker's side of one client's connection: the part of AMQP 0-9-1 that is used."""

from typing import TYPE_CHECKING, Any

from pamqp import body, commands, frame, header, heartbeat

from libs.messaging.dead_letters.copies import HEADER_QUEUE
from tests.simulation.interleavings.network import End, Host
from tests.simulation.interleavings.queues import Answer, Channel, Consumer, Stored

if TYPE_CHECKING:
    from tests.simulation.interleavings.broker import Broker

CONFIRM_SECONDS = (0.0005, 0.02)
FRAME = 7
"""Bytes before the payload of a frame; one byte is behind it."""


class Connection:
    """A `Connection` is one client of the broker, from the broker's side."""

    transport: End

    def __init__(self, broker: "Broker", host: Host) -> None:
        self.broker = broker
        self.host = host
        self._received = bytearray()
        self._channels: dict[int, Channel] = {}

    def connection_made(self, transport: End) -> None:
        self.transport = transport

    def data_received(self, data: bytes) -> None:
        self._received += data
        if self._received[:4] == b"AMQP":
            del self._received[:8]
            self._send(0, commands.Connection.Start(server_properties=_ABILITIES))
        while len(self._received) >= FRAME:
            end = FRAME + int.from_bytes(self._received[3:7], "big") + 1
            if len(self._received) < end:
                return
            _, number, received = frame.unmarshal(bytes(self._received[:end]))
            del self._received[:end]
            if number == 0:
                self._of_connection(received)
            else:
                self._of_channel(number, received)

    def eof_received(self) -> None: ...

    def connection_lost(self, _: Exception | None) -> None:
        self.broker.clients.pop(self, None)
        for channel in list(self._channels.values()):
            self._end(channel)

    def holds_messages(self) -> bool:
        return any(channel.held for channel in self._channels.values())

    def deliver(self, consumer: Consumer, stored: Stored) -> None:
        channel = consumer.channel
        channel.delivered += 1
        consumer.held += 1
        channel.held[channel.delivered] = (consumer, stored)
        self._send(
            channel.number,
            commands.Basic.Deliver(
                consumer.tag, channel.delivered, stored.redelivered, "shop", stored.routing_key
            ),
            header.ContentHeader(0, len(stored.body), stored.properties),
            body.ContentBody(stored.body),
        )

    def _send(self, number: int, *frames: Any) -> None:
        self.transport.write(b"".join(frame.marshal(each, number) for each in frames))

    def _of_connection(self, received: Any) -> None:
        match received:
            case commands.Connection.StartOk():
                self._send(0, commands.Connection.Tune(2047, 131_072, 10))
            case commands.Connection.Open():
                self._send(0, commands.Connection.OpenOk())
            case commands.Connection.Close():
                self._send(0, commands.Connection.CloseOk())
                self.connection_lost(None)
            case heartbeat.Heartbeat():
                self._send(0, heartbeat.Heartbeat())

    def _of_channel(self, number: int, received: Any) -> None:
        if isinstance(received, commands.Channel.Open):
            self._channels[number] = Channel(self, number)
            self._send(number, commands.Channel.OpenOk())
            return
        channel = self._channels.get(number)
        if channel is None:  # the channel was closed meanwhile
            return
        match received:
            case commands.Channel.Close():
                if self.broker.loop.random.random() < 0.5:
                    self._answer_late(channel)
                self._end(channel)
                self._send(number, commands.Channel.CloseOk())
            case commands.Confirm.Select():
                channel.confirms = True
                self._send(number, commands.Confirm.SelectOk())
            case commands.Exchange.Declare():
                self._send(number, commands.Exchange.DeclareOk())
            case commands.Queue.Declare():
                self._declare(channel, received.queue)
            case commands.Basic.Qos():
                channel.prefetch = received.prefetch_count
                self._send(number, commands.Basic.QosOk())
            case commands.Basic.Consume():
                self._consume(channel, received)
            case commands.Basic.Cancel():
                self._cancel(channel, str(received.consumer_tag))
                self._send(number, commands.Basic.CancelOk(received.consumer_tag))
            case commands.Basic.Ack():
                consumer, stored = self._settled(channel, received.delivery_tag)
                self.broker.on_ack(consumer.queue.name, stored)
            case commands.Basic.Nack() | commands.Basic.Reject():
                consumer, stored = self._settled(channel, received.delivery_tag)
                self.broker.take_back(consumer.queue, stored)
            case commands.Basic.Publish() | header.ContentHeader() | body.ContentBody():
                self._content(channel, received)
            case commands.Channel.CloseOk():
                pass
            case _:
                raise NotImplementedError(received.name)

    def _declare(self, channel: Channel, queue: str) -> None:
        if queue in self.broker.missing:
            self._end(channel)
            self._send(channel.number, commands.Channel.Close(404, "NOT_FOUND", 50, 10))
        else:
            self._send(channel.number, commands.Queue.DeclareOk(queue, 0, 0))

    def _consume(self, channel: Channel, asked: commands.Basic.Consume) -> None:
        queue = self.broker.queues[asked.queue]
        consumer = Consumer(channel, asked.consumer_tag, queue, channel.prefetch)
        channel.consumers[consumer.tag] = consumer
        queue.consumers.append(consumer)
        self.broker.on_consume(queue.name, consumer.prefetch)
        self._send(channel.number, commands.Basic.ConsumeOk(consumer.tag))
        self.broker.deliver(queue)

    def _cancel(self, channel: Channel, tag: str) -> None:
        consumer = channel.consumers.pop(tag, None)
        if consumer is not None:
            consumer.queue.consumers.remove(consumer)

    def _settled(self, channel: Channel, tag: int | None) -> tuple[Consumer, Stored]:
        consumer, stored = channel.held.pop(tag or 0)
        consumer.held -= 1
        self.broker.loop.call_soon(self.broker.deliver, consumer.queue)
        return consumer, stored

    def _content(self, channel: Channel, received: Any) -> None:
        match received:
            case commands.Basic.Publish():
                channel.arriving = (received, commands.Basic.Properties())
            case header.ContentHeader():
                assert channel.arriving is not None
                channel.arriving = (channel.arriving[0], received.properties)
            case body.ContentBody():
                assert channel.arriving is not None
                (publish, properties), channel.arriving = channel.arriving, None
                self._published(channel, publish, properties, received.value)

    def _published(
        self,
        channel: Channel,
        publish: commands.Basic.Publish,
        properties: commands.Basic.Properties,
        content: bytes,
    ) -> None:
        broker, key = self.broker, publish.routing_key
        channel.published += 1
        answer = Answer.ACK
        if publish.exchange != "shop":
            queue = (properties.headers or {})[HEADER_QUEUE]
            broker.dead.append((str(queue), str(properties.message_id)))
        else:
            broker.on_publish(self.host, str(properties.message_id))
            if broker.nacks:
                broker.nacks -= 1
                answer = Answer.NACK
            elif not broker.take(key, properties, content):
                self._send(
                    channel.number,
                    commands.Basic.Return(312, "NO_ROUTE", "shop", key),
                    header.ContentHeader(0, len(content), properties),
                    body.ContentBody(content),
                )
            elif key in broker.mute:
                answer = Answer.NONE
        channel.unanswered[channel.published] = answer
        if answer is not Answer.NONE:
            seconds = broker.loop.random.uniform(*CONFIRM_SECONDS)
            broker.loop.call_later(seconds, self._answer, channel, channel.published)

    def _answer(self, channel: Channel, tag: int) -> None:
        """Confirm a message, or all messages up to it in one confirm if all of them are taken."""
        if channel.ended or tag not in channel.unanswered:
            return
        earlier = [each for each in channel.unanswered if each < tag]
        all_taken = all(channel.unanswered[each] is Answer.ACK for each in (*earlier, tag))
        if earlier and all_taken and self.broker.loop.random.random() < 0.3:
            for each in earlier:
                del channel.unanswered[each]
            self._send(channel.number, commands.Basic.Ack(tag, multiple=True))
        elif channel.unanswered[tag] is Answer.ACK:
            self._send(channel.number, commands.Basic.Ack(tag))
        else:
            self._send(channel.number, commands.Basic.Nack(tag, requeue=False))
        del channel.unanswered[tag]

    def _answer_late(self, channel: Channel) -> None:
        """Confirm at the last moment the messages that were taken."""
        for tag, answer in channel.unanswered.items():
            if answer is not Answer.NACK:
                self._send(channel.number, commands.Basic.Ack(tag))

    def _end(self, channel: Channel) -> None:
        if channel.ended:
            return
        channel.ended = True
        self._channels.pop(channel.number, None)
        for tag in list(channel.consumers):
            self._cancel(channel, tag)
        for consumer, stored in channel.held.values():
            self.broker.take_back(consumer.queue, stored)
        channel.held.clear()


_ABILITIES: dict[str, Any] = {
    "capabilities": {
        "publisher_confirms": True, "basic.nack": True, "consumer_cancel_notify": True,
        "connection.blocked": True, "exchange_exchange_bindings": True,
    }
}  # fmt: skip
