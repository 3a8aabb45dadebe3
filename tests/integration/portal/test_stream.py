"""The event stream of a purchase is live, can be resumed, and ends when the purchase
or the permission ends.
"""

import asyncio
import json
import socket
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID

import asyncpg
import httpx
import pytest
from sqlalchemy.exc import DBAPIError

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from libs.runtime.application import create_app
from libs.runtime.auth import Authenticator, Unauthenticated
from libs.runtime.server import Server, configuration
from services.portal.application.change_roles import change_roles
from services.portal.application.erase_user import erase_user
from services.portal.domain.audit import Act
from services.portal.domain.user import User
from services.portal.infrastructure.store.postgres import Store
from services.portal.infrastructure.web.pages import live
from services.portal.main import build
from tests.fixtures.pgbouncer import pgbouncer_before
from tests.fixtures.polling import eventually
from tests.fixtures.servers import PostgresServer
from tests.integration.portal.conftest import PASSWORD, AddUser, execute
from tests.integration.portal.purchases import WAY_FORWARD, buy, consume, envelope


@asynccontextmanager
async def listening(settings: Any) -> AsyncIterator[tuple[httpx.AsyncClient, Server]]:
    app = create_app(build(settings))
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        server = Server(app, configuration(app, settings))
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


@asynccontextmanager
async def asyncpg_connection(url: str) -> AsyncIterator[Any]:
    connection = await asyncpg.connect(url)
    try:
        yield connection
    finally:
        await connection.close()


async def consume_with_retry(transactions: Store, consumed: dict[str, Any]) -> None:
    """Consume the event as soon as the database answers."""

    async def done() -> bool:
        try:
            await consume(transactions, consumed)
        except (DBAPIError, asyncpg.PostgresError, OSError):
            return False
        return True

    await eventually(done)


@pytest.fixture
async def served(settings: Any, add_user: AddUser) -> AsyncIterator[httpx.AsyncClient]:
    await add_user("operator")
    async with listening(settings()) as (client, _):
        await sign_in(client)
        yield client


async def sign_in(client: httpx.AsyncClient, email: str = "operator@example.com") -> None:
    answer = await client.post("/api/sessions", json={"email": email, "password": PASSWORD})
    assert answer.status_code == 201
    client.headers["X-CSRF-Token"] = answer.json()["csrf_token"]


async def events(answer: httpx.Response) -> AsyncIterator[tuple[str, str | None, Any]]:
    """Yield the name, id and data of each event."""
    fields: dict[str, str] = {}
    async for line in answer.aiter_lines():
        if line.startswith(":"):
            continue
        if line:
            name, _, value = line.partition(": ")
            fields[name] = value
        elif fields:
            data = fields["data"]
            yield fields["event"], fields.get("id"), json.loads(data) if data[:1] == "{" else data
            fields = {}


def path(order_id: UUID) -> str:
    return f"/api/purchases/{order_id}/timeline/events"


async def test_a_finished_purchase_is_streamed_in_full_and_the_stream_ends(
    served: httpx.AsyncClient, transactions: Store
) -> None:
    order_id = await buy(transactions)
    async with served.stream("GET", path(order_id)) as answer:
        assert answer.headers["content-type"].startswith("text/event-stream")
        assert "gzip" in answer.request.headers["accept-encoding"]
        assert "content-encoding" not in answer.headers
        told = [event async for event in events(answer)]
    assert [(name, data["type"]) for name, _, data in told[:-1]] == [
        ("moment", consumed[0]) for consumed in WAY_FORWARD
    ]
    assert told[-1] == ("finished", None, {"state": "CLOSED"})


async def test_a_stream_is_no_duration_of_a_request_and_its_refusal_is(
    served: httpx.AsyncClient, transactions: Store
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
    served: httpx.AsyncClient, transactions: Store
) -> None:
    order_id = await buy(transactions)
    async with served.stream("GET", path(order_id), headers={"Last-Event-ID": "7"}) as answer:
        told = [(name, event_id) async for name, event_id, _ in events(answer)]
    assert told == [("moment", "8"), ("moment", "9"), ("finished", None)]


async def test_an_event_arrives_within_half_a_second_of_being_consumed(
    served: httpx.AsyncClient, transactions: Store
) -> None:
    order_id = await buy(transactions, steps=1)
    async with served.stream("GET", path(order_id)) as answer:
        told = events(answer)
        assert (await anext(told))[2]["type"] == "order.confirmed.v1"
        for consumed in WAY_FORWARD[1:4]:
            at = time.monotonic()
            await consume(transactions, envelope(order_id, consumed))
            assert (await anext(told))[2]["type"] == consumed[0]
            assert time.monotonic() - at < 0.5


async def test_the_stream_of_a_purchase_just_made_waits_for_its_first_event(
    served: httpx.AsyncClient, transactions: Store
) -> None:
    order_id = uuid7()

    async def first() -> Any:
        async with served.stream("GET", path(order_id)) as answer:
            return await anext(events(answer))

    told = asyncio.create_task(first())
    await asyncio.wait([told], timeout=0.3)
    assert not told.done()
    await consume(transactions, envelope(order_id, WAY_FORWARD[0]))
    assert (await told)[2]["type"] == "order.confirmed.v1"


async def sign_out(client: httpx.AsyncClient, *_: Any) -> None:
    assert (await client.delete("/api/sessions/current")).status_code == 204


async def expire(client: httpx.AsyncClient, _: Store, database: str) -> None:
    await execute(database, "UPDATE sessions SET expires_at = now()")


async def lose_the_role(client: httpx.AsyncClient, transactions: Store, _: str) -> None:
    user = await user_of(client, transactions)
    await transactions.run(
        lambda uow: change_roles(
            uow,
            act=Act(user.tenant_id, "test", uuid7(), utc_now()),
            user_id=user.id,
            roles=["seller"],
        )
    )


async def be_erased(client: httpx.AsyncClient, transactions: Store, _: str) -> None:
    user = await user_of(client, transactions)
    assert user.customer_id is not None
    customer_id = user.customer_id
    await transactions.run(
        lambda uow: erase_user(
            uow,
            tenant_id=user.tenant_id,
            customer_id=customer_id,
            new_id=uuid7,
            now=utc_now(),
        )
    )


async def lose_access(client: httpx.AsyncClient, transactions: Store, _: str) -> None:
    """Disable the user as `disable_user` does, without a second admin."""
    user = await user_of(client, transactions)
    user.disable()
    await transactions.run(lambda uow: uow.users.save(user))
    await transactions.run(lambda uow: uow.sessions.end_all(user.id))


async def user_of(client: httpx.AsyncClient, transactions: Store) -> User:
    found = await transactions.run(lambda uow: uow.users.find_by_email("operator@example.com"))
    assert found is not None
    return found


OF_SESSIONS = (sign_out, expire)
"""These end a session. A token is valid for minutes more, and is no session."""
OF_USERS = (lose_the_role, be_erased, lose_access)


@pytest.mark.parametrize(
    ("way", "end"),
    [
        *((way, end) for way in ("page", "API") for end in (*OF_SESSIONS, *OF_USERS)),
        *(("API with a token", end) for end in OF_USERS),
    ],
    ids=lambda value: getattr(value, "__name__", value),
)
async def test_a_stream_ends_with_the_rights_it_was_opened_with_and_sends_nothing_more(
    settings: Any,
    add_user: AddUser,
    transactions: Store,
    portal_database: str,
    way: str,
    end: Callable[..., Awaitable[None]],
) -> None:
    await add_user("operator", customer_id=uuid7())
    order_id = await buy(transactions, steps=2)
    async with listening(settings()) as (client, _), httpx.AsyncClient(timeout=10) as watcher:
        await sign_in(client)
        watcher.base_url = client.base_url
        if way == "API with a token":
            token = (await client.post("/api/token")).json()["access_token"]
            watcher.headers["Authorization"] = f"Bearer {token}"
        else:
            watcher.cookies = client.cookies
        place = f"/purchases/{order_id}/events" if way == "page" else path(order_id)
        async with watcher.stream("GET", place) as answer:
            told = events(answer)
            assert (await anext(told))[0] in ("moment", "timeline")
            if way != "page":
                await anext(told)
            await end(client, transactions, portal_database)
            for consumed in WAY_FORWARD[2:]:
                await consume(transactions, envelope(order_id, consumed))
            async with asyncio.timeout(5):
                assert [event async for event in told] == []
        assert (await watcher.get(place)).status_code in (303, 401, 403, 404)


async def test_a_stream_ends_with_the_token_it_was_opened_with(
    settings: Any, add_user: AddUser, transactions: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    await add_user("operator")
    order_id = await buy(transactions, steps=1)
    async with listening(settings(token_seconds=30)) as (client, _):
        await sign_in(client)
        token = (await client.post("/api/token")).json()["access_token"]
        client.cookies.clear()
        client.headers["Authorization"] = f"Bearer {token}"
        async with client.stream("GET", path(order_id)) as answer:
            told = events(answer)
            await anext(told)
            now = time.time
            monkeypatch.setattr("time.time", lambda: now() + 60)
            await consume(transactions, envelope(order_id, WAY_FORWARD[1]))
            async with asyncio.timeout(5):
                assert [event async for event in told] == []


async def test_a_page_without_news_gets_a_sign_that_it_still_follows(
    served: httpx.AsyncClient, transactions: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "STILL_EVERY", 1)
    order_id = await buy(transactions, steps=2)
    async with served.stream("GET", f"/purchases/{order_id}/events?seen=2") as answer:
        told = events(answer)
        assert (await anext(told))[0] == "still"
        await consume(transactions, envelope(order_id, WAY_FORWARD[2]))
        async with asyncio.timeout(5):
            while (await anext(told))[0] != "timeline":
                pass


async def test_a_stream_lives_through_an_outage_of_the_database(
    settings: Any, add_user: AddUser, transactions: Store, postgres_server: PostgresServer
) -> None:
    await add_user("operator")
    order_id = await buy(transactions, steps=1)
    async with (
        listening(settings()) as (client, _),
        asyncpg_connection(postgres_server.url) as server,
    ):
        await sign_in(client)
        async with client.stream("GET", path(order_id)) as answer:
            told = events(answer)
            await anext(told)
            name = urlsplit(settings().database_url).path[1:]
            await server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS false")
            try:
                await server.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = $1",
                    name,
                )
                await asyncio.sleep(2)  # several polls, each of which fails
            finally:
                await server.execute(f"ALTER DATABASE {name} ALLOW_CONNECTIONS true")
            await consume_with_retry(transactions, envelope(order_id, WAY_FORWARD[1]))
            async with asyncio.timeout(10):
                assert (await anext(told))[2]["type"] == "credit.reserved.v1"


async def test_many_streams_leave_room_for_other_requests(
    served: httpx.AsyncClient, transactions: Store
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
    served: httpx.AsyncClient, transactions: Store
) -> None:
    foreign = await buy(transactions, steps=1, tenant="elsewhere")
    assert (await served.get(path(foreign), timeout=10)).status_code == 404
    assert (await served.get("/api/purchases/none/timeline/events")).status_code == 422
    served.cookies.clear()
    assert (await served.get(path(foreign))).status_code == 401


async def test_a_service_that_stops_ends_its_streams_at_once(
    settings: Any, add_user: AddUser, transactions: Store
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


async def test_a_stream_sends_what_is_consumed_through_pgbouncer(
    settings: Any, add_user: AddUser, transactions: Store, portal_database: str
) -> None:
    await add_user("operator")
    order_id = await buy(transactions, steps=1)
    with pgbouncer_before(portal_database.replace("+asyncpg", "")) as url:
        async with listening(settings(database_url=url, pgbouncer=True)) as (client, _):
            await sign_in(client)
            async with client.stream("GET", path(order_id)) as answer:
                told = events(answer)
                for n, consumed in enumerate(WAY_FORWARD[:3]):
                    if n:
                        await consume(transactions, envelope(order_id, consumed))
                    assert (await anext(told))[2]["type"] == consumed[0]
