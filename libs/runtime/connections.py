"""A client's connection is uvicorn's, with limits. A slow client loses its connection, and there is
always room for a new one. Without this, uvicorn waits for ever for the end of a request's head,
keeps a head of any size, and waits for ever for a client that reads nothing of its answer.
(`limits.py` limits the time of a body.) Its own limit counts idle connections too, and refuses
every request then, also for /health.
"""

import asyncio
from collections.abc import Callable
from typing import Any, cast

from starlette.types import ASGIApp, Receive, Scope, Send
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from libs.runtime.limits import CROWDED

HEAD_SECONDS = 10.0
"""A request's headers end within this time, from the opening of the connection or from the first
byte of the request.
"""
MAX_HEAD_BYTES = 64 * 1024
TAKE_SECONDS = 20.0
"""An answer waits at most this long for a client that reads nothing."""
MAX_CONNECTIONS = 1000
MAX_CONNECTIONS_PER_CLIENT = 200


class Connection(HttpToolsProtocol):
    """When there are MAX_CONNECTIONS, a new connection takes the place of the one that has been
    idle longest; when one client has as many as a client may have, of that client's longest idle
    one. When all are at work the new one is refused, except for `limits.ALWAYS_ANSWERED`.

    `is_proxy` says whether an address stands for many clients.
    """

    def __init__(self, *arguments: Any, is_proxy: Callable[[str], bool], **named: Any) -> None:
        super().__init__(*arguments, **named)
        self._is_proxy = is_proxy
        self.idle_since = self.loop.time()
        self._head_bytes = 0
        self._head_begun = False
        self._head_timer: asyncio.TimerHandle | None = None
        self._take_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._make_room()
        self._wait_for_head()

    def connection_lost(self, exc: Exception | None) -> None:
        self._head_complete()
        self._taken()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.transport.is_closing():
            return
        if self._head_begun:
            self._head_bytes += len(data)
            if self._head_bytes > MAX_HEAD_BYTES:
                self.transport.abort()
        if self._head_begun or not self.answering:
            self._wait_for_head()

    def on_message_begin(self) -> None:
        self._head_begun = True
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        self._head_begun, self._head_bytes = False, 0
        self._head_complete()
        super().on_headers_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        self.idle_since = self.loop.time()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._take_timer = self.loop.call_later(TAKE_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        self._taken()
        super().resume_writing()

    def timeout_keep_alive_handler(self) -> None:
        """Close when the client has taken what it was sent, or after `TAKE_SECONDS`."""
        super().timeout_keep_alive_handler()
        self._take_timer = self.loop.call_later(TAKE_SECONDS, self.transport.abort)

    @property
    def answering(self) -> bool:
        return self.cycle is not None and not self.cycle.response_complete

    @property
    def is_idle(self) -> bool:
        """Return whether no request is at work and the client has taken every answer."""
        return not self.answering and self.transport.get_write_buffer_size() == 0

    @property
    def address(self) -> str:
        return self.client[0] if self.client else ""

    def _make_room(self) -> None:
        if len(self.connections) <= min(MAX_CONNECTIONS, MAX_CONNECTIONS_PER_CLIENT):
            return
        everybody = cast("set[Connection]", self.connections)
        rivals = [each for each in everybody if not each.transport.is_closing()]
        if len(rivals) <= MAX_CONNECTIONS:
            rivals = [each for each in rivals if each.address == self.address]
            if len(rivals) <= MAX_CONNECTIONS_PER_CLIENT or self._is_proxy(self.address):
                return
        if idle := [each for each in rivals if each is not self and each.is_idle]:
            min(idle, key=lambda each: each.idle_since).transport.abort()
        else:
            self.app = crowded(self.app)

    def _wait_for_head(self) -> None:
        if self._head_timer is None:
            self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.answering:  # nothing more is read until it is done
            self._wait_for_head()
        else:
            self.transport.abort()

    def _head_complete(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None

    def _taken(self) -> None:
        if self._take_timer is not None:
            self._take_timer.cancel()
            self._take_timer = None


def crowded(app: Any) -> ASGIApp:
    """Return `app` with the mark that there is no room for this connection; `limits.py` then
    answers only what it has to.
    """

    async def answer(scope: Scope, receive: Receive, send: Send) -> None:
        await app({**scope, CROWDED: True}, receive, send)

    return answer
