"""With more connections than a service accepts, health checks are answered and each
client keeps its share.
"""

import asyncio
import resource
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import httpx
import pytest
from starlette.responses import StreamingResponse

from libs.runtime import connections, limits
from libs.runtime.application import create_app
from libs.runtime.routes import api_router
from libs.runtime.server import Server, configuration
from tests.fixtures.polling import eventually
from tests.http.serving import no_signals
from tests.http.test_slow_clients import BODY, Client
from tests.integration.runtime.notes import NotesSettings, build, create_tables

GET = b"GET %s HTTP/1.1\r\nHost: notes\r\n\r\n"
FEW, FEWER = 6, 4
"""A test lowers the limits to these numbers of connections, in all and of one client."""


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connections, "MAX_CONNECTIONS", FEW)
    monkeypatch.setattr(connections, "MAX_CONNECTIONS_PER_CLIENT", FEWER)


@pytest.fixture
def many_files() -> Iterator[None]:
    """Allow many files, because both ends of each connection belong to this process."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (min(hard, 8192), hard))
    yield
    resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


STREAM = "/notes/events"
events = api_router()


@events.get(STREAM)
async def follow_for_ever() -> StreamingResponse:
    async def nothing() -> AsyncIterator[bytes]:
        yield b"begun"
        await asyncio.Event().wait()

    return StreamingResponse(nothing())


@asynccontextmanager
async def served(database: str, **settings: Any) -> AsyncIterator["Crowded"]:
    """Serve the notes service as its process does."""
    chosen = NotesSettings(database_url=database, role="api", **settings)
    service = build(chosen)
    followed = replace(
        service, routers=[events, *service.routers], streams=lambda path: path == STREAM
    )
    app = create_app(followed)
    server = Server(app, configuration(app, chosen))
    server.capture_signals = no_signals  # type: ignore[method-assign]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        crowd = Crowded(listener.getsockname()[1], server)
        try:
            while not server.started:
                assert not task.done()
                await asyncio.sleep(0.01)
            yield crowd
        finally:
            crowd.close()
            server.should_exit = True
            await task


class Crowded:
    def __init__(self, port: int, server: Server) -> None:
        self.port = port
        self._server = server
        self._opened: list[socket.socket] = []

    async def connect(self, address: str = "127.0.0.1") -> Client:
        """Connect from this address of the loopback."""
        client = socket.socket()
        self._opened.append(client)
        client.bind((address, 0))
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, ("127.0.0.1", self.port))
        return Client(client)

    async def crowd(self, number: int, *addresses: str) -> list[Client]:
        """Open this many idle connections, from each of these addresses in turn."""
        return [await self.connect(addresses[n % len(addresses)]) for n in range(number)]

    async def get(self, path: str, address: str = "127.0.0.1") -> httpx.Response:
        transport = httpx.AsyncHTTPTransport(local_address=address)
        url = f"http://127.0.0.1:{self.port}"
        async with httpx.AsyncClient(transport=transport, base_url=url, timeout=10) as client:
            return await client.get(path)

    @property
    def open(self) -> int:
        return len(self._server.server_state.connections)

    def close(self) -> None:
        for client in self._opened:
            client.close()


@pytest.fixture
async def notes(database: str) -> AsyncIterator[Crowded]:
    await create_tables(database)
    async with served(database) as crowd:
        yield crowd


async def is_open(client: Client) -> bool:
    """Return whether the server answers on this connection."""
    try:
        await client.send(GET % b"/health")
        async with asyncio.timeout(5):
            answer = await asyncio.get_running_loop().sock_recv(client.socket, 65536)
    except ConnectionError:
        return False
    return answer.startswith(b"HTTP/1.1 200 ")


@pytest.mark.slow
@pytest.mark.usefixtures("many_files")
async def test_health_is_answered_beside_a_thousand_and_ten_idle_connections(
    notes: Crowded,
) -> None:
    await notes.crowd(1010, *(f"127.0.0.{n}" for n in range(1, 9)))
    for address in ("127.0.0.1", "127.0.0.99"):
        for path in ("/health", "/ready", "/metrics", "/notes"):
            assert (await notes.get(path, address)).status_code == 200, path
    assert notes.open <= connections.MAX_CONNECTIONS + 1


@pytest.mark.usefixtures("few")
async def test_a_new_connection_takes_the_place_of_the_one_idle_longest(
    notes: Crowded,
) -> None:
    opened = await notes.crowd(FEW, "127.0.0.2", "127.0.0.3")
    assert await is_open(opened[0])  # it was used a moment ago
    newcomer = await notes.connect("127.0.0.4")
    assert await is_open(newcomer)
    assert [await is_open(each) for each in opened] == [True, False, *[True] * (FEW - 2)]


@pytest.mark.usefixtures("few")
async def test_a_client_with_too_many_connections_loses_its_own(notes: Crowded) -> None:
    other = await notes.connect("127.0.0.2")
    own = await notes.crowd(FEWER + 1, "127.0.0.3")
    assert await is_open(other)
    assert [await is_open(each) for each in own] == [False, *[True] * FEWER]


@pytest.mark.usefixtures("few")
async def test_a_trusted_proxy_may_have_as_many_connections_as_there_are(database: str) -> None:
    await create_tables(database)
    async with served(database, trusted_proxies="127.0.0.3") as notes:
        own = await notes.crowd(FEWER + 1, "127.0.0.3")
        assert all([await is_open(each) for each in own])


@pytest.mark.usefixtures("few")
async def test_while_every_connection_is_busy_others_are_refused_and_health_is_answered(
    notes: Crowded,
) -> None:
    for n in range(FEW):
        slow = await notes.connect(f"127.0.0.{n + 2}")
        await slow.send(BODY)  # the rest of the body never comes

    async def all_at_work() -> bool:
        busy = await notes.get("/notes")
        return busy.status_code == 503

    await eventually(all_at_work, 5)
    busy = await notes.get("/notes")
    assert busy.headers["content-type"] == "application/problem+json"
    assert busy.json()["type"].endswith(":busy")
    assert "Retry-After" in busy.headers
    for path in ("/health", "/ready", "/metrics"):
        assert (await notes.get(path)).status_code == 200


@pytest.mark.slow
async def test_idle_connections_end_by_themselves(
    database: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("libs.runtime.server.KEEP_ALIVE_SECONDS", 1)
    monkeypatch.setattr(connections, "HEAD_SECONDS", 1)
    await create_tables(database)
    async with served(database) as notes:
        unused, used = await notes.crowd(2, "127.0.0.2")
        assert await is_open(used)
        assert await unused.ended() == b""
        assert await used.ended() == b""
        assert notes.open == 0


@pytest.fixture
def few_streams(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(limits, "MAX_STREAMS", 3)
    monkeypatch.setattr(limits, "MAX_STREAMS_PER_CLIENT", 2)


@pytest.mark.usefixtures("few_streams")
async def test_streams_have_limits_of_their_own_for_each_client_and_in_all(
    notes: Crowded,
) -> None:
    async def follow(address: str) -> Client:
        client = await notes.connect(address)
        await client.send(GET % STREAM.encode())
        received = await asyncio.get_running_loop().sock_recv(client.socket, 65536)
        assert received.startswith(b"HTTP/1.1 200 ")
        return client

    first = await follow("127.0.0.2")
    await follow("127.0.0.2")
    refused = await notes.get(STREAM, "127.0.0.2")
    assert (refused.status_code, refused.json()["type"][-16:]) == (503, "too-many-streams")
    assert "Retry-After" in refused.headers
    await follow("127.0.0.3")
    assert (await notes.get(STREAM, "127.0.0.4")).status_code == 503
    assert (await notes.get("/notes", "127.0.0.2")).status_code == 200
    first.socket.close()

    async def there_is_room() -> bool:
        try:
            await follow("127.0.0.4")
        except AssertionError:
            return False
        return True

    await eventually(there_is_room)
