"""Whatever a body, a field or a cursor holds, the answer is a refusal that says so. It is never a
5xx, and never repeats what was sent.
"""

import json
from collections.abc import AsyncIterator, Iterator
from typing import Any

import httpx
import pytest

from services.portal.domain.user import ROLES
from tests.fixtures.whole_market import WholeMarket, person
from tests.security.bodies import BODIES, LISTED
from tests.security.matrix import ENDPOINTS
from tests.security.things import Things

pytestmark = pytest.mark.asyncio(loop_scope="module")

WITHOUT_PAGES = ("GET /kpis/active", "GET /outbox/given-up")

WRITING = [
    (service, endpoint)
    for service, rows in ENDPOINTS.items()
    for endpoint in rows
    if endpoint in BODIES
]
LISTS = [
    (service, endpoint)
    for service, rows in ENDPOINTS.items()
    for endpoint in rows
    if endpoint in LISTED and endpoint not in WITHOUT_PAGES
]
each_writing = pytest.mark.parametrize(("service", "endpoint"), WRITING)
each_list = pytest.mark.parametrize(("service", "endpoint"), LISTS)

MARK = "hostile-mark"
VALUES = {
    "NUL": f'"{MARK}\\u0000"',
    "a lone surrogate": f'"{MARK}\\ud800"',
    "a long text": json.dumps(MARK * 3000),
    "right to left": f'"{MARK}\\u202e"',
    "a huge number": "1" + "0" * 4000,
    "a huge power": "1e999999",
    "beyond 64 bits": str(2**63),
    "not a number": "NaN",
    "infinity": "-Infinity",
    "nothing": "null",
    "a truth": "true",
    "a list": f'["{MARK}"]',
    "an object": f'{{"{MARK}": 1}}',
    "a deep list": "[" * 500 + "]" * 500,
}
WHOLE = {
    "nothing": b"",
    "no JSON": b"{",
    "a number": b"1",
    "a list": b"[]",
    "invalid UTF-8": b'{"name": "\xff\xfe"}',
    "UTF-16 that is none": b"\xff\xfe{",
    "deep nesting": b"[" * 60_000,
    "deep objects": b'{"a":' * 10_000,
    "a key twice": b'{"name": 1, "name": 2}',
    "a huge number": b"1" * 60_000,
    "an unknown field": b'{"__proto__": {}, "constructor": 1}',
}


async def send(
    things: Things,
    service: str,
    endpoint: str,
    content: bytes | AsyncIterator[bytes],
    **headers: str,
) -> httpx.Response:
    everybody = person(*ROLES, tenant=things.tenant, customer_id=things.customer_id)
    method, _, template = endpoint.partition(" ")
    path = await things.path(template)
    headers = {"If-Match": "1", "Content-Type": "application/json"} | headers
    return await things.market.ask(
        everybody, service, method, path, content=content, headers=headers
    )


def assert_refused(answer: httpx.Response, *statuses: int) -> None:
    assert answer.status_code in statuses, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert MARK not in answer.text


def fields_with(body: dict[str, Any], value: str) -> Iterator[tuple[str, bytes]]:
    """Yield the body with `value` in place of one field after the other."""
    for field in body:
        rest = {name: json.dumps(each) for name, each in body.items()} | {field: value}
        members = ", ".join(f'"{name}": {each}' for name, each in rest.items())
        yield field, f"{{{members}}}".encode()


@each_writing
async def test_no_value_of_a_field_breaks_anything(
    market: WholeMarket, service: str, endpoint: str
) -> None:
    things = await Things(market).begin()
    body = await BODIES[endpoint](things, things.admin)
    for kind, value in VALUES.items():
        for field, content in fields_with(body, value):
            answer = await send(things, service, endpoint, content)
            # Some of these values are valid where a field accepts null, or any text.
            assert answer.status_code < 500, (kind, field, answer.text)
            if kind in ("NUL", "a lone surrogate", "a huge number", "a deep list", "an object"):
                assert_refused(answer, 400, 422)


@each_writing
async def test_no_body_breaks_anything(market: WholeMarket, service: str, endpoint: str) -> None:
    things = await Things(market).begin()
    for kind, content in WHOLE.items():
        answer = await send(things, service, endpoint, content)
        assert answer.status_code in (400, 422), (kind, answer.text)
        assert_refused(answer, 400, 422)


@each_writing
async def test_a_body_that_is_too_large_is_refused_announced_or_not(
    market: WholeMarket, service: str, endpoint: str
) -> None:
    things = await Things(market).begin()
    most = market.services[service].service.settings.max_body_bytes

    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(most // 1000 + 2):
            yield b" " * 1000

    assert_refused(await send(things, service, endpoint, b" " * (most + 1)), 413)
    assert_refused(await send(things, service, endpoint, chunks()), 413)


@each_writing
async def test_a_body_is_json_whatever_it_is_called(
    market: WholeMarket, service: str, endpoint: str
) -> None:
    things = await Things(market).begin()
    for kind in ("text/plain", "application/xml", "multipart/form-data", "", "x" * 1000):
        answer = await send(things, service, endpoint, b"a=b&c=d", **{"Content-Type": kind})
        assert_refused(answer, 400)
    assert_refused(
        await send(things, service, endpoint, b"\x1f\x8b", **{"Content-Encoding": "gzip"}), 415
    )


@each_list
async def test_a_cursor_changed_anywhere_is_refused(
    market: WholeMarket, service: str, endpoint: str
) -> None:
    north = await Things(market).begin()
    for things in (north, await Things(market, north.tenant).begin()):
        await things.id(LISTED[endpoint])
    path = endpoint.removeprefix("GET ")
    page = await market.ask(
        north.admin if service != "payments" else north.operator,
        service,
        "GET",
        path,
        params={"limit": "1"},
    )
    cursor = page.json()["next"]
    assert cursor, page.text
    who = north.admin if service != "payments" else north.operator

    async def follow(cursor: str, **query: str) -> httpx.Response:
        params = {"limit": "1", "cursor": cursor, **query}
        return await market.ask(who, service, "GET", path, params=params)

    assert (await follow(cursor)).status_code == 200
    changed = [
        cursor[:n] + ("B" if cursor[n] == "A" else "A") + cursor[n + 1 :]
        for n in range(len(cursor))
    ]
    for forged in [*changed, cursor[:-4], cursor[4:], cursor * 2, "", "=", "é", "\x00", "A" * 5000]:
        answer = await follow(forged)
        # The last character of base64 has bits without a meaning.
        assert answer.status_code == 400 or forged[:-1] == cursor[:-1], forged
    assert_refused(await follow(cursor, unknown="filter"), 400)


@each_list
async def test_a_cursor_of_another_tenant_or_list_is_refused(
    market: WholeMarket, service: str, endpoint: str
) -> None:
    north, south = await Things(market).begin(), await Things(market).begin()
    for things in (north, await Things(market, north.tenant).begin()):
        await things.id(LISTED[endpoint])
    roles = ("operator", "admin")
    path = endpoint.removeprefix("GET ")
    page = await market.ask(
        person(*roles, tenant=north.tenant), service, "GET", path, params={"limit": "1"}
    )
    params = {"limit": "1", "cursor": page.json()["next"]}
    stranger = person(*roles, tenant=south.tenant)
    assert_refused(await market.ask(stranger, service, "GET", path, params=params), 400)
    for other_service, other in LISTS:
        if other != endpoint:
            elsewhere = other.removeprefix("GET ")
            own = person(*roles, tenant=north.tenant)
            answer = await market.ask(own, other_service, "GET", elsewhere, params=params)
            assert_refused(answer, 400)
