"""Events as AMQP frames, encoded with as little work per message as can be."""

from collections.abc import Collection

from aiormq.channel import Channel
from pamqp import frame
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from libs.messaging.envelope import CONTENT_TYPE
from libs.messaging.relay.claims import Message

_ID = "00000000-0000-7000-8000-000000000000"
_TRACEPARENT = "00-00000000000000000000000000000000-0000000000000000-00"


class Frames:
    """All messages of one type differ in id, trace and body only: the rest is encoded once.

    `user` is what the broker compares with who is connected. Types in `unconsumed` go out
    without the mandatory flag.
    """

    def __init__(self, service: str, user: str, unconsumed: Collection[str]) -> None:
        self._service = service
        self._user = user
        self._unconsumed = frozenset(unconsumed)
        self._types: dict[tuple[int, str], tuple[bytes, bytes, bytes, bytes]] = {}

    def of(self, message: Message, channel: Channel) -> bytes:
        """The publish, header and body frames.

        Raises TypeError or ValueError for what AMQP cannot carry: a type beyond 255 bytes.
        """
        key = (channel.number, message.type)
        pieces = self._types.get(key)
        if pieces is None:
            pieces = self._types[key] = self._pieces(*key)
        publish, before, between, after = pieces
        trace = message.traceparent
        if trace is not None and len(trace) == len(_TRACEPARENT):
            identifier = str(message.id).encode()
            properties = b"".join((before, trace.encode(), between, identifier, after))
        else:
            properties = self._properties(message.type, str(message.id), trace).marshal()
        header = ContentHeader(body_size=len(message.body), properties=_Encoded(properties))
        frames = [publish, frame.marshal(header, channel.number)]
        for start in range(0, len(message.body), channel.max_content_size):
            body = ContentBody(message.body[start : start + channel.max_content_size])
            frames.append(frame.marshal(body, channel.number))
        return b"".join(frames)

    def _pieces(self, number: int, kind: str) -> tuple[bytes, bytes, bytes, bytes]:
        publish = Basic.Publish(
            exchange=self._service, routing_key=kind, mandatory=kind not in self._unconsumed
        )
        encoded = self._properties(kind, _ID, _TRACEPARENT).marshal()
        before, rest = encoded.split(_TRACEPARENT.encode())
        between, after = rest.split(_ID.encode())
        return frame.marshal(publish, number), before, between, after

    def _properties(self, kind: str, message_id: str, trace: str | None) -> Basic.Properties:
        """Persistent, named, with the W3C trace context."""
        return Basic.Properties(
            content_type=CONTENT_TYPE,
            headers={"traceparent": trace} if trace else None,
            delivery_mode=2,
            message_id=message_id,
            message_type=kind,
            user_id=self._user,
            app_id=self._service,
        )


class _Encoded(Basic.Properties):
    """Properties that are encoded already."""

    def __init__(self, encoded: bytes) -> None:  # no super(): nothing but the bytes is read
        self._bytes = encoded

    def marshal(self) -> bytes:
        return self._bytes
