"""Slow clients take no resource that others need, and are disconnected after a bounded time."""

import asyncio
import select
import socket
import time
from collections.abc import AsyncIterator
from contextlib import ExitStack, asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from libs.runtime import connections, limits
from libs.runtime.application import create_app
from libs.runtime.server import Server, configuration
from tests.http.serving import no_signals
from tests.integration.runtime.notes import NotesSettings, build, create_tables

pytestmark = pytest.mark.slow

SOON = 0.5
PATIENCE = 15.0
HEAD = b"POST /notes HTTP/1.1\r\nHost: notes\r\n"
BODY = HEAD + b"Content-Length: 100\r\n\r\n"
SLOW = 20
"""There are more slow clients of each kind than places."""


@pytest.fixture
def hurried(monkeypatch: pytest.MonkeyPatch) -> None:
    """Shorten the limits of a real server for the test."""
    monkeypatch.setattr(connections, "HEAD_SECONDS", SOON)
    monkeypatch.setattr(connections, "TAKE_SECONDS", SOON)
    monkeypatch.setattr(limits, "BODY_SECONDS", SOON)


@dataclass
class Notes:
    host: str
    port: int
    opened: ExitStack

    async def connect(self, *, window: int | None = None) -> "Client":
        """Connect. The client receives about `window` bytes before it reads any."""
        client = self.opened.enter_context(socket.socket())
        if window is not None:
            client.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, window)
        client.setblocking(False)
        await asyncio.get_running_loop().sock_connect(client, (self.host, self.port))
        return Client(client)

    async def still_work(self) -> None:
        """Check that other clients are answered at once, reads and writes."""
        async with httpx.AsyncClient(base_url=f"http://{self.host}:{self.port}") as others:
            for _ in range(5):
                answer = await others.post("/notes", json={"text": "milk"}, timeout=PATIENCE)
                assert answer.status_code == 201, answer.text


@dataclass
class Client:
    socket: socket.socket

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    async def drip(self, data: bytes) -> bytes:
        """Send a byte now and then until the server ends the connection. Returns everything that
        the server sent.
        """
        loop, said = asyncio.get_running_loop(), b""
        deadline = time.monotonic() + PATIENCE
        try:
            for n in range(10**6):
                assert time.monotonic() < deadline, "never cut off"
                await self.send(data[n % len(data) :][:1])
                try:
                    async with asyncio.timeout(0.05):
                        received = await loop.sock_recv(self.socket, 65536)
                except TimeoutError:
                    continue
                if not received:
                    break
                said += received
        except ConnectionError:
            pass
        return said

    async def ended(self) -> bytes:
        """Return everything that the server sends until it closes."""
        loop, said = asyncio.get_running_loop(), b""
        async with asyncio.timeout(PATIENCE):
            try:
                while received := await loop.sock_recv(self.socket, 65536):
                    said += received
            except ConnectionError:
                pass
        return said


@pytest.fixture
async def notes(database: str, hurried: None) -> AsyncIterator[Notes]:
    await create_tables(database)
    async with served(database) as address:
        yield address


@asynccontextmanager
async def served(database: str) -> AsyncIterator[Notes]:
    """Serve the notes service as its process does."""
    settings = NotesSettings(database_url=database, role="api")
    app = create_app(build(settings))
    server = Server(app, configuration(app, settings))
    server.capture_signals = no_signals  # type: ignore[method-assign]
    with socket.create_server(("127.0.0.1", 0)) as listener:
        task = asyncio.create_task(server.serve(sockets=[listener]))
        try:
            while not server.started:
                assert not task.done()
                await asyncio.sleep(0.01)
            with ExitStack() as opened:
                host, port = listener.getsockname()
                yield Notes(host, port, opened)
        finally:
            server.should_exit = True
            await task


@pytest.mark.parametrize(
    ("first", "dripped"),
    [
        (b"", b""),
        (b"", b"\r\n"),
        (HEAD, b""),
        (HEAD, b"X-Drop: x\r\n"),
        (b"GET /health HTTP/1.1\r\nHost: notes\r\n\r\n", b"\r\n"),
        (b"GET /health HTTP/1.1\r\nHost: notes\r\nContent-Length: 999999\r\n\r\n", b"x"),
    ],
    ids=["nothing", "blank lines", "half a head", "a head for ever", "a line more", "a body more"],
)
async def test_a_client_that_never_ends_a_head_is_cut_off(
    notes: Notes, first: bytes, dripped: bytes
) -> None:
    clients = [await notes.connect() for _ in range(SLOW)]
    for client in clients:
        await client.send(first)
    ends = [client.drip(dripped) if dripped else client.ended() for client in clients]
    await asyncio.gather(*ends, notes.still_work())


async def test_a_client_that_drips_a_body_is_cut_off(notes: Notes) -> None:
    clients = [await notes.connect() for _ in range(SLOW)]
    for client in clients:
        await client.send(BODY)
    await asyncio.gather(*(client.drip(b" ") for client in clients), notes.still_work())


async def test_a_client_that_stops_in_a_body_is_answered_408(notes: Notes) -> None:
    client = await notes.connect()
    await client.send(BODY + b" ")
    assert (await client.ended()).startswith(b"HTTP/1.1 408 ")


async def test_a_client_that_sends_a_large_body_to_its_end_still_reads_the_refusal(
    notes: Notes,
) -> None:
    client, megabytes = await notes.connect(), 5
    await client.send(HEAD + b"Content-Length: %d\r\n\r\n" % (megabytes * 1024 * 1024))
    await asyncio.to_thread(select.select, [client.socket], [], [], PATIENCE)  # refused already
    for _ in range(megabytes):
        await client.send(bytes(1024 * 1024))
    assert (await client.ended()).startswith(b"HTTP/1.1 413 ")


async def test_a_client_that_reads_no_answer_holds_no_place(notes: Notes) -> None:
    async with httpx.AsyncClient(base_url=f"http://{notes.host}:{notes.port}") as others:
        for n in range(100):
            await others.post("/notes", json={"text": f"{n:03}" + "x" * 190}, timeout=PATIENCE)
    greedy = [await notes.connect(window=4096) for _ in range(SLOW)]
    asked = b"GET /notes?limit=100 HTTP/1.1\r\nHost: notes\r\n\r\n" * 400

    async def ask(client: Client) -> None:
        while True:  # until the server stops reading, and then gives up
            await client.send(asked)

    tasks = [asyncio.create_task(ask(client)) for client in greedy]
    await notes.still_work()
    async with asyncio.timeout(PATIENCE):
        ends = await asyncio.gather(*tasks, return_exceptions=True)
    assert all(isinstance(end, ConnectionError) for end in ends), ends


async def test_a_head_of_any_size_is_not_kept(notes: Notes) -> None:
    client = await notes.connect()
    await client.send(b"GET /health HTTP/1.1\r\n")
    head = b"".join(b"X-%d: %s\r\n" % (n, b"x" * 1000) for n in range(10_000))
    with pytest.raises(ConnectionError):
        await client.send(head)


async def test_many_requests_on_one_connection_are_all_answered(notes: Notes) -> None:
    client = await notes.connect()
    await client.send(b"GET /health HTTP/1.1\r\nHost: notes\r\n\r\n" * 50)
    await client.send(b"GET /health HTTP/1.1\r\nHost: notes\r\nConnection: close\r\n\r\n")
    assert (await client.ended()).count(b"HTTP/1.1 200 ") == 51
