"""Pure ASGI middleware gives answers 304, and the headers that every answer has."""

from collections.abc import Mapping

from starlette.datastructures import Headers, MutableHeaders
from starlette.middleware.gzip import DEFAULT_EXCLUDED_CONTENT_TYPES
from starlette.types import ASGIApp, Message, Receive, Scope, Send

UNCOMPRESSED = (
    *DEFAULT_EXCLUDED_CONTENT_TYPES,
    "application/json",
    "application/problem+json",
    "application/javascript",
    "text/javascript",
)
"""Answers of these types are not compressed; pages and metrics are. Answers to programs are small
and many, and scripts are compressed once or hardly ever requested.
"""
COMPRESSION = 5
"""The level is from 1 to 9. At 5 a page takes a third of a millisecond, and is larger by a few per
cent than at level 9.
"""
READING = ("GET", "HEAD")
OF_A_BODY = ("content-length", "content-type")


class NotModified:
    """This answers 304 to a GET whose If-None-Match names the ETag of the full answer."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reads = scope["type"] == "http" and scope["method"] in READING
        known = Headers(scope=scope).get("if-none-match") if reads else None
        if known is None:
            await self._app(scope, receive, send)
            return
        same = False

        async def send_unless_known(message: Message) -> None:
            nonlocal same
            if message["type"] == "http.response.start" and message["status"] == 200:
                headers = MutableHeaders(raw=message["headers"])
                same = matches(known, headers.get("etag"))
                if same:
                    for name in OF_A_BODY:
                        del headers[name]
                    message = {**message, "status": 304}
            elif same and message["type"] == "http.response.body":
                message = {**message, "body": b""}
            await send(message)

        await self._app(scope, receive, send_unless_known)


def matches(known: str, etag: str | None) -> bool:
    """Compare weakly, as RFC 9110, 8.8.3.2, says: `W/` makes no difference."""
    if etag is None:
        return False
    tags = (each.strip().removeprefix("W/") for each in known.split(","))
    return known.strip() == "*" or etag.removeprefix("W/") in tags


class UsualHeaders:
    """This adds `headers` to every answer that does not have them, to refusals too."""

    def __init__(self, app: ASGIApp, headers: Mapping[str, str]) -> None:
        self._app = app
        self._headers = headers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                sent = MutableHeaders(scope=message)
                for name, value in self._headers.items():
                    sent.setdefault(name, value)
            await send(message)

        await self._app(scope, receive, send_with_headers)
