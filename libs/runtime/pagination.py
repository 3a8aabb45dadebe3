"""Pagination is by keyset, with opaque signed cursors, bound to tenant, path and filters."""

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlencode

from fastapi import Depends, Query, Request
from pydantic import BaseModel
from pydantic_core import to_json
from starlette.responses import Response

from libs.runtime.auth import Caller, CallerDep
from libs.runtime.declared import LINK, answers, refuses
from libs.runtime.problems import BadRequest

DEFAULT_LIMIT = 20
MAX_LIMIT = 100
_SIGNATURE_BYTES = 16


class ForeignCursor(BadRequest):
    text = "The cursor is not one that was given for this list and these filters."

    def __init__(self) -> None:
        super().__init__(field="cursor")


class MalformedLimit(BadRequest):
    text = "The limit must be a whole number, 1 or more."

    def __init__(self) -> None:
        super().__init__(field="limit")


@dataclass(frozen=True)
class Page:
    """A page says which rows to fetch: `limit` + 1 rows after the key `after`. The extra row shows
    that there are more.
    """

    limit: int
    after: tuple[str, ...] | None
    key: bytes
    scope: bytes

    def answer(
        self,
        items: Sequence[BaseModel],
        next_after: Sequence[object] | None,
        request: Request,
    ) -> Response:
        """Return `{"items": […], "next": cursor or null}`, with a Link header when there is a next
        page. `next_after` is the sort key of the last item, None on the last page.
        """
        cursor = None if next_after is None else self._sign(tuple(map(str, next_after)))
        content = to_json({"items": items, "next": cursor}, by_alias=True)
        headers = {}
        if cursor is not None:
            query = [*_filters(request), ("limit", str(self.limit)), ("cursor", cursor)]
            headers["Link"] = f'<{request.url.path}?{urlencode(query)}>; rel="next"'
        return Response(content, headers=headers, media_type="application/json")

    def _sign(self, after: tuple[str, ...]) -> str:
        payload = json.dumps(after, separators=(",", ":")).encode()
        return _encode(_signature(self.key, self.scope, payload) + payload)


def _filters(request: Request) -> list[tuple[str, str]]:
    return sorted(
        (name, value)
        for name, value in request.query_params.multi_items()
        if name not in ("limit", "cursor")
    )


def _signature(key: bytes, scope: bytes, payload: bytes) -> bytes:
    return hmac.digest(key, scope + b"\x00" + payload, "sha256")[:_SIGNATURE_BYTES]


def _encode(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


def _scope(request: Request, caller: Caller) -> bytes:
    parts = [caller.tenant_id, request.url.path, _filters(request)]
    return hashlib.sha256(json.dumps(parts).encode()).digest()


def _read(cursor: str, key: bytes, scope: bytes) -> tuple[str, ...]:
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True)
    except ValueError:
        raw = b""
    signature, payload = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
    if not payload or not hmac.compare_digest(signature, _signature(key, scope, payload)):
        raise ForeignCursor
    return tuple(json.loads(payload))


def _limit(text: str | None) -> int:
    if text is None:
        return DEFAULT_LIMIT
    if not (text.isascii() and text.isdigit()) or not text.strip("0"):
        raise MalformedLimit
    return MAX_LIMIT if len(text) > 6 else min(int(text), MAX_LIMIT)


@refuses(400)
@answers(LINK)
async def _page(
    request: Request,
    caller: CallerDep,
    limit: Annotated[
        str | None,
        Query(
            description=f"Default {DEFAULT_LIMIT}, at most {MAX_LIMIT}.",
            json_schema_extra={"type": "integer", "minimum": 1},
        ),
    ] = None,
    cursor: Annotated[str | None, Query(description="`next` of the page before.")] = None,
) -> Page:
    key: bytes = request.app.state.settings.cursor_key
    scope = _scope(request, caller)
    after = None if cursor is None else _read(cursor, key, scope)
    return Page(_limit(limit), after, key, scope)


PageDep = Annotated[Page, Depends(_page)]
