"""This middleware limits bodies, their content type and the number of requests at once.

It is pure ASGI. The body is read before a place is taken, so that slow clients hold no place.
"""

import asyncio
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.runtime.problems import Refusal, Unavailable, problem

BODY_SECONDS = 10.0
DISCARD_SECONDS = 2.0
"""The rest of a refused body is read and thrown away for at most this long."""
PLACE_SECONDS = 2.0
MAX_STREAMS = 300
MAX_STREAMS_PER_CLIENT = 100
"""At most this many event streams are open at once, of all clients and of one: each asks the
database once a second.
"""
CROWDED = "mercado.crowded"
"""The scope of a request has this key where the request's connection found no room."""
ALWAYS_ANSWERED = frozenset({"/health", "/ready", "/metrics"})
"""These paths are answered even without room."""
READING = frozenset({"GET", "HEAD", "OPTIONS"})
JSON = (b"content-type", b"application/json")
CLOSE = {"Connection": "close"}
"""This ends the connection after the answer, without waiting for the rest of the body."""
FORMS = (b"application/x-www-form-urlencoded", b"multipart/form-data")


class Busy(Unavailable):
    code = "busy"
    text = "Too many requests are being worked on."


class TooManyConnections(Busy):
    text = "Too many connections are at work."

    def __init__(self) -> None:
        super().__init__()
        self.headers = {**(self.headers or {}), **CLOSE}


class TooManyStreams(Unavailable):
    code = "too-many-streams"
    text = "Too many event streams are open."

    def __init__(self) -> None:
        super().__init__(retry_after=10)


class OutboxBacklog(Unavailable):
    """`detail` says why no request is taken that would add to the backlog."""

    code = "outbox-backlog"
    text = "Too many events wait to be published."

    def __init__(self, detail: str) -> None:
        super().__init__(detail, retry_after=5)


class UnsupportedEncoding(Refusal):
    status = 415
    code = "unsupported-encoding"
    text = "Send the body without Content-Encoding."


class RequestTimeout(Refusal):
    status = 408
    code = "request-timeout"
    text = "The body took too long to arrive."

    def __init__(self) -> None:
        super().__init__(headers=CLOSE)


class BodyTooLarge(Refusal):
    status = 413
    code = "body-too-large"
    text = "The body may be {most} bytes at most."

    def __init__(self, most: int) -> None:
        super().__init__(field="body", headers=CLOSE, most=most)


class RequestLimits:
    """`places` bounds the requests inside the application at once: each uses one connection of the
    pool at most, so none waits long for one. `closed` says why no writing request is taken just
    now, None when all are. Paths that are `free` skip both. So do `streams`, which last and have
    their own limits. Without `forms` every body is JSON, whatever its content type says.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        max_body_bytes: int,
        places: int,
        closed: Callable[[], str | None],
        free: Callable[[str], bool],
        streams: Callable[[str], bool],
        forms: bool = False,
    ) -> None:
        self._app = app
        self._max_body_bytes = max_body_bytes
        self._places = asyncio.Semaphore(places)
        self._closed = closed
        self._free = free
        self._streams = streams
        self._open_streams: Counter[str] = Counter()
        self._forms = forms

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        if CROWDED in scope and scope["path"] not in ALWAYS_ANSWERED:
            return await _refuse(TooManyConnections(), scope, receive, send)
        if self._free(scope["path"]):
            return await self._app(scope, receive, send)
        if self._streams(scope["path"]):
            return await self._stream(scope, receive, send)
        try:
            if scope["method"] not in READING and (reason := self._closed()) is not None:
                raise OutboxBacklog(reason)
            receive = await self._with_body(scope, receive)
            await self._take_place()
        except Refusal as refusal:
            return await _refuse(refusal, scope, receive, send)
        try:
            await self._app(scope, receive, send)
        finally:
            self._places.release()

    async def _stream(self, scope: Scope, receive: Receive, send: Send) -> None:
        streams, client = self._open_streams, scope["client"][0] if scope.get("client") else ""
        if streams.total() >= MAX_STREAMS or streams[client] >= MAX_STREAMS_PER_CLIENT:
            return await problem(TooManyStreams())(scope, receive, send)
        streams[client] += 1
        try:
            await self._app(scope, receive, send)
        finally:
            streams[client] -= 1
            if not streams[client]:
                del streams[client]

    async def _take_place(self) -> None:
        if not self._places.locked():
            await self._places.acquire()
            return
        try:
            async with asyncio.timeout(PLACE_SECONDS):
                await self._places.acquire()
        except TimeoutError:
            raise Busy from None

    async def _with_body(self, scope: Scope, receive: Receive) -> Receive:
        """Return a `receive` that gives the whole body, read and bounded, as one message."""
        headers = dict(scope["headers"])
        if headers.get(b"content-encoding", b"identity").lower() != b"identity":
            raise UnsupportedEncoding
        length = headers.get(b"content-length")
        if length is None and b"transfer-encoding" not in headers:
            return receive
        if length is not None and int(length) > self._max_body_bytes:
            raise BodyTooLarge(self._max_body_bytes)
        try:
            async with asyncio.timeout(BODY_SECONDS):
                body = await self._read(receive)
        except TimeoutError:
            raise RequestTimeout from None
        if not (self._forms and headers.get(b"content-type", b"").startswith(FORMS)):
            _call_it_json(scope)
        return _replay({"type": "http.request", "body": body, "more_body": False}, receive)

    async def _read(self, receive: Receive) -> bytes:
        body = bytearray()
        while True:
            message = await receive()
            body += message.get("body", b"")
            if len(body) > self._max_body_bytes:
                raise BodyTooLarge(self._max_body_bytes)
            if not message.get("more_body", False):
                return bytes(body)


async def _refuse(refusal: Refusal, scope: Scope, receive: Receive, send: Send) -> None:
    """Answer, and read for a while what the client still sends. If the connection closed before,
    the system would reset it, and the client would lose the answer.
    """

    async def send_and_discard(message: Message) -> None:
        if message["type"] == "http.response.body":
            await send({**message, "more_body": True})
            with suppress(TimeoutError):
                async with asyncio.timeout(DISCARD_SECONDS):
                    while (await receive()).get("more_body", False):
                        pass
            message = {"type": "http.response.body"}
        await send(message)

    await problem(refusal)(scope, receive, send_and_discard)


def _call_it_json(scope: Scope) -> None:
    """Set the Content-Type of JSON: only JSON is accepted, so every body is parsed as JSON,
    whatever the client calls it (curl's default too).
    """
    scope["headers"] = [header for header in scope["headers"] if header[0] != b"content-type"]
    scope["headers"].append(JSON)


def _replay(first: Message, receive: Receive) -> Receive:
    pending: list[Message] = [first]

    async def replayed() -> Message:
        return pending.pop() if pending else await receive()

    return replayed
