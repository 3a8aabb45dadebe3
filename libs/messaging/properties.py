"""The AMQP properties of an event, encoded with as little work per message as can be."""

from pamqp.commands import Basic

from libs.messaging.claims import Message
from libs.messaging.envelope import CONTENT_TYPE

_ID = "00000000-0000-7000-8000-000000000000"
_TRACEPARENT = "00-00000000000000000000000000000000-0000000000000000-00"


class Properties:
    """All messages of one type differ in id and trace only: encode the rest once."""

    def __init__(self, service: str, user: str) -> None:
        self._service = service
        self._user = user
        self._pieces: dict[str, tuple[bytes, bytes, bytes]] = {}

    def of(self, message: Message) -> Basic.Properties:
        """Persistent, named, with the user the broker verifies and the W3C trace context."""
        message_id = str(message.id)
        trace = message.traceparent
        if trace is None or len(trace) != len(_TRACEPARENT):
            return self._plain(message.type, message_id, trace)
        pieces = self._pieces.get(message.type)
        if pieces is None:
            encoded = self._plain(message.type, _ID, _TRACEPARENT).marshal()
            before, rest = encoded.split(_TRACEPARENT.encode())
            between, after = rest.split(_ID.encode())
            pieces = self._pieces[message.type] = (before, between, after)
        before, between, after = pieces
        encoded = b"".join((before, trace.encode(), between, message_id.encode(), after))
        return _Encoded(message_id, encoded)

    def _plain(self, kind: str, message_id: str, trace: str | None) -> Basic.Properties:
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
    """aiormq asks properties for their id, to recognise a returned message, and their bytes."""

    def __init__(self, message_id: str, encoded: bytes) -> None:  # no super(): nothing else is read
        self.message_id = message_id
        self._encoded = encoded

    def marshal(self) -> bytes:
        return self._encoded
