"""Events are encoded as AMQP frames with as little work for each message as possible."""

import struct
from collections.abc import Collection

from aiormq.channel import Channel
from pamqp import frame
from pamqp.commands import Basic
from pamqp.constants import FRAME_BODY, FRAME_END_CHAR, FRAME_HEADER

from libs.messaging.envelope import CONTENT_TYPE
from libs.messaging.relay.claims import Message

_ID = "00000000-0000-7000-8000-000000000000"
_TRACEPARENT = "00-00000000000000000000000000000000-0000000000000000-00"

_FRAME = struct.Struct(">BHI")
"""A frame begins with its type, its channel and the length of its payload."""
_CONTENT = struct.Struct(">HHQ")
"""The header of a message begins with AMQP class, weight and size of the body."""


class Frames:
    """All messages of one type differ in id, trace and body only: the rest is encoded once.

    The broker compares `user` with who is connected. Types in `unconsumed` go out without the
    mandatory flag.
    """

    def __init__(self, service: str, user: str, unconsumed: Collection[str]) -> None:
        self.service = service
        self._user = user
        self._unconsumed = frozenset(unconsumed)
        self._publishes: dict[tuple[int, str], bytes] = {}
        self._properties: dict[tuple[str, bool], tuple[bytes, bytes, bytes]] = {}

    def of(self, message: Message, channel: Channel) -> bytes:
        """Return the publish, header and body frames.

        Raises TypeError or ValueError for what AMQP cannot carry: a type beyond 255 bytes.
        """
        number = channel.number
        publish = self._publishes.get((number, message.type))
        if publish is None:
            publish = self._publishes[number, message.type] = self._publish(number, message.type)
        body = message.body
        header = _CONTENT.pack(Basic.frame_id, 0, len(body)) + self._encoded_properties(message)
        frames = [publish, _FRAME.pack(FRAME_HEADER, number, len(header)), header, FRAME_END_CHAR]
        for start in range(0, len(body), channel.max_content_size):
            part = body[start : start + channel.max_content_size]
            frames += (_FRAME.pack(FRAME_BODY, number, len(part)), part, FRAME_END_CHAR)
        return b"".join(frames)

    def _publish(self, number: int, kind: str) -> bytes:
        mandatory = kind not in self._unconsumed
        publish = Basic.Publish(exchange=self.service, routing_key=kind, mandatory=mandatory)
        return frame.marshal(publish, number)

    def _encoded_properties(self, message: Message) -> bytes:
        trace, message_id = message.traceparent, str(message.id)
        if trace is not None and len(trace) != len(_TRACEPARENT):
            return self._marshalled(message.type, message_id, trace)
        key = (message.type, trace is not None)
        pieces = self._properties.get(key)
        if pieces is None:
            pieces = self._properties[key] = self._pieces(*key)
        before, between, after = pieces
        return b"".join((before, (trace or "").encode(), between, message_id.encode(), after))

    def _pieces(self, kind: str, has_trace: bool) -> tuple[bytes, bytes, bytes]:  # noqa: FBT001
        """Return what stands before, between and after trace and id."""
        encoded = self._marshalled(kind, _ID, _TRACEPARENT if has_trace else None)
        rest, after = encoded.split(_ID.encode())
        before, between = rest.split(_TRACEPARENT.encode()) if has_trace else (b"", rest)
        return before, between, after

    def _marshalled(self, kind: str, message_id: str, trace: str | None) -> bytes:
        """Return the properties of a persistent message with its id and W3C trace context."""
        return Basic.Properties(
            content_type=CONTENT_TYPE,
            headers={"traceparent": trace} if trace else None,
            delivery_mode=2,
            message_id=message_id,
            message_type=kind,
            user_id=self._user,
            app_id=self.service,
        ).marshal()
