"""The event stream of a purchase, over a real connection: live, resumable, and it ends."""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from uuid import UUID

import httpx
import pytest
import uvicorn

from libs.kernel.ids import uuid7
from libs.messaging.outbox.unit_of_work import Transactions
from libs.runtime.auth import Authenticator, Unauthenticated
from libs.runtime.server import Server
from libs.runtime.service import create_app
from services.portal.infrastructure.postgres import PortalUnitOfWork
from services.portal.main import build
from tests.fixtures.polling import eventually
from tests.integration.portal.conftest import PASSWORD, AddUser
from tests.integration.portal.purchases import WAY_FORWARD, buy, envelope, hear

Portal = Transactions[PortalUnitOfWork]


@asynccontextmanager
async def listening(settings: Any) -> AsyncIterator[tuple[httpx.AsyncClient, Server]]:
    app = create_app(build(settings))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = Server(app, uvicorn.Config(app, log_config=None, timeout_graceful_shutdown=10))
        running = asyncio.create_task(server.serve(sockets=[listener]))

        async def started() -> bool:
            return server.started

        await eventually(started)
        url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        try:
            async with httpx.AsyncClient(base_url=url, timeout=10) as client:
                yield client, server
        finally:
            server.should_exit = True
            await running


@pytest.fixture
async def served(settings: Any, add_user: AddUser) -> AsyncIterator[httpx.AsyncClient]:
    await add_user("operator")
    async with listening(settings()) as (client, _):
        await sign_in(client)
        yield client


async def sign_in(client: httpx.AsyncClient) -> None:
    body = {"email": "operator@example.com", "password": PASSWORD}
    assert (await client.post("/api/sessions", json=body)).status_code == 201


async def events(answer: httpx.Response) -> AsyncIterator[tuple[str, str | None, Any]]:
    """Name, id and data of each."""
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            yield fields["event"], fields.get("id"), json.loads(fields["data"])
            fields = {}


def path(order_id: UUID) -> str:
    return f"/api/purchases/{order_id}/timeline/events"


async def test_a_finished_purchase_is_told_whole_and_the_stream_ends(
    served: httpx.AsyncClient, transactions: Portal
) -> None:
    order_id = await buy(transactions)
    async with served.stream("GET", path(order_id)) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        told = [event async for event in events(answer)]
    assert [(name, data["type"]) for name, _, data in told[:-1]] == [
        ("moment", heard[0]) for heard in WAY_FORWARD
    ]
    assert told[-1] == ("finished", None, {"state": "CLOSED"})


async def test_a_stream_is_no_duration_of_a_request_and_its_refusal_is(
    served: httpx.AsyncClient, transactions: Portal
) -> None:
    order_id = await buy(transactions)
    async with served.stream("GET", path(order_id)) as answer:
        assert answer.status_code == 200
        async for _ in events(answer):
            pass
    assert (await served.get(path(uuid7()))).status_code == 404
    metrics = (await served.get("/metrics")).text
    lines = [line for line in metrics.splitlines() if "timeline/events" in line]
    assert [line for line in lines if 'status="404"' in line]
    assert [line for line in lines if 'status="200"' in line] == []


async def test_it_goes_on_after_the_last_event_the_browser_has_seen(
    served: httpx.AsyncClient, transactions: Portal
) -> None:
    order_id = await buy(transactions)
    async with served.stream("GET", path(order_id), headers={"Last-Event-ID": "7"}) as answer:
        told = [(name, event_id) async for name, event_id, _ in events(answer)]
    assert told == [("moment", "8"), ("moment", "9"), ("finished", None)]


async def test_an_event_arrives_within_half_a_second_of_being_heard(
    served: httpx.AsyncClient, transactions: Portal
) -> None:
    order_id = await buy(transactions, steps=1)
    async with served.stream("GET", path(order_id)) as answer:
        told = events(answer)
        assert (await anext(told))[2]["type"] == "order.confirmed.v1"
        for heard in WAY_FORWARD[1:4]:
            at = time.monotonic()
            await hear(transactions, envelope(order_id, heard))
            assert (await anext(told))[2]["type"] == heard[0]
            assert time.monotonic() - at < 0.5


async def test_the_stream_of_a_purchase_just_made_waits_for_its_first_event(
    served: httpx.AsyncClient, transactions: Portal
) -> None:
    order_id = uuid7()

    async def first() -> Any:
        async with served.stream("GET", path(order_id)) as answer:
            return await anext(events(answer))

    told = asyncio.create_task(first())
    await asyncio.wait([told], timeout=0.3)
    assert not told.done()
    await hear(transactions, envelope(order_id, WAY_FORWARD[0]))
    assert (await told)[2]["type"] == "order.confirmed.v1"


async def test_many_streams_leave_room_for_other_requests(
    served: httpx.AsyncClient, transactions: Portal
) -> None:
    order_id = await buy(transactions, steps=1)
    async with httpx.AsyncClient(base_url=served.base_url, cookies=served.cookies) as watcher:
        opened = [watcher.stream("GET", path(order_id)) for _ in range(20)]
        answers = [await each.__aenter__() for each in opened]
        assert {answer.status_code for answer in answers} == {200}
        assert (await served.get("/api/sessions")).status_code == 200
        for each in opened:
            await each.__aexit__(None, None, None)


async def test_a_stream_for_nobody_of_a_foreign_tenant_or_of_nothing_is_refused_in_one_answer(
    served: httpx.AsyncClient, transactions: Portal
) -> None:
    foreign = await buy(transactions, steps=1, tenant="elsewhere")
    assert (await served.get(path(foreign), timeout=10)).status_code == 404
    assert (await served.get("/api/purchases/none/timeline/events")).status_code == 422
    served.cookies.clear()
    assert (await served.get(path(foreign))).status_code == 401


async def test_a_service_that_stops_ends_its_streams_at_once(
    settings: Any, add_user: AddUser, transactions: Portal
) -> None:
    await add_user("operator")
    order_id = await buy(transactions, steps=1)
    async with listening(settings()) as (client, server):
        await sign_in(client)
        async with client.stream("GET", path(order_id)) as answer:
            told = events(answer)
            await anext(told)
            at, server.should_exit = time.monotonic(), True
            assert [event async for event in told] == []
            assert time.monotonic() - at < 3


async def test_a_service_that_asks_the_portal_for_its_keys_knows_whom_it_issued_a_token_to(
    served: httpx.AsyncClient, settings: Any
) -> None:
    body = {"email": "operator@example.com", "password": PASSWORD}
    signed_in = (await served.post("/api/sessions", json=body)).json()
    headers = {"X-CSRF-Token": signed_in["csrf_token"]}
    token = (await served.post("/api/token", headers=headers)).json()["access_token"]
    place = f"{served.base_url}/.well-known/jwks.json"
    peer = Authenticator(settings(auth="on", jwks_url=place))
    assert (await peer.caller(f"Bearer {token}", None)).subject == signed_in["user"]["id"]
    with pytest.raises(Unauthenticated):
        await peer.caller(f"Bearer {token[:-4]}AAAA", None)
