"""Proxies in the environment change no call inside the system."""

import ast
import asyncio
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import httpx
import pytest

from deploy.demo.market import Market
from deploy.rabbitmq.provision import provision
from libs.messaging.topology import Topology, check
from libs.runtime.direct import open_directly
from libs.runtime.jwks import KeySet, KeysUnavailable
from libs.runtime.telemetry import span_exporter
from services.portal.domain.user import User
from services.portal.infrastructure.peers.client import Peers

ROOT = Path(__file__).parents[3]
SOURCES = sorted(
    path for folder in ("libs", "services", "deploy") for path in (ROOT / folder).rglob("*.py")
)
CLIENTS = ("AsyncClient", "Client", "get", "post", "put", "delete", "request", "stream")
OPENERS = ("urlopen", "build_opener", "urlretrieve")
OWN_OPENER = ROOT / "libs" / "runtime" / "direct.py"

NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY")
NOWHERE = "http://127.0.0.1:9"
NO_SCHEME_OF_OURS = "socks://127.0.0.1:1080"


@pytest.fixture(params=[NOWHERE, NO_SCHEME_OF_OURS], ids=["dead", "socks"])
def proxied(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> None:
    """Set a company's proxy that does not lead to us."""
    for name in NAMES:
        monkeypatch.setenv(name, request.param)
        monkeypatch.setenv(name.lower(), request.param)
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)


class Anything(BaseHTTPRequestHandler):
    """`Anything` answers every request in a form that several callers can read."""

    def do_GET(self) -> None:
        length = int(self.headers.get("Content-Length", 0))
        self.rfile.read(length)
        answer = b"[]" if self.path.startswith("/api/") else b'{"keys": []}'
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    do_POST = do_PUT = do_DELETE = do_GET  # noqa: N815

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def answering() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Anything)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def _token(_: User) -> str:
    return "token"


async def _peers(url: str) -> None:
    peers = Peers({"orders": url}, _token)
    assert (await peers.get(None, "orders", "/orders")).body == {"keys": []}
    await peers.close()


async def _keys(url: str) -> None:
    with pytest.raises(KeysUnavailable, match="not a JWK set"):  # the answer was read
        await KeySet(f"{url}/.well-known/jwks.json").load()


async def _topology(url: str) -> None:
    assert await check(url, "/", Topology((), (), ())) == []


async def _provisioning(url: str) -> None:
    await provision(url.replace("http://", "http://administrator:secret@"), "mercado", [])


async def _market(url: str) -> None:
    market = Market({"orders": url})
    await market.send("orders", "GET", "/orders", expect=200)
    await market.close()


async def _opened(url: str) -> None:
    with await asyncio.to_thread(open_directly, url, 5) as answer:
        assert json.load(answer) == {"keys": []}


@pytest.mark.parametrize(
    "call",
    [_peers, _keys, _topology, _provisioning, _market, _opened],
    ids=lambda each: each.__name__,
)
@pytest.mark.usefixtures("proxied")
async def test_a_call_inside_the_system_takes_no_proxy(call) -> None:  # type: ignore[no-untyped-def]
    with answering() as url:
        await call(url)


@pytest.mark.usefixtures("proxied")
def test_traces_take_no_proxy_to_their_collector() -> None:
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import SimpleSpanProcessor, SpanExportResult

    with answering() as url:
        exporter, provider = span_exporter(url), TracerProvider(shutdown_on_exit=False)
        provider.add_span_processor(SimpleSpanProcessor(exporter))
        span = provider.get_tracer("test").start_span("a span")
        assert exporter.export([span]) is SpanExportResult.SUCCESS  # type: ignore[list-item]
        exporter.shutdown()  # type: ignore[no-untyped-call]


def _calls(tree: ast.AST) -> Iterator[ast.Call]:
    return (node for node in ast.walk(tree) if isinstance(node, ast.Call))


def _of_httpx(call: ast.Call) -> bool:
    function = call.func
    return (
        isinstance(function, ast.Attribute)
        and isinstance(function.value, ast.Name)
        and function.value.id == "httpx"
        and function.attr in CLIENTS
    )


def _takes_no_proxy(call: ast.Call) -> bool:
    return any(
        each.arg == "trust_env"
        and isinstance(each.value, ast.Constant)
        and each.value.value is False
        for each in call.keywords
    )


def test_every_client_of_ours_is_made_without_the_environments_proxies() -> None:
    """The clients that the calls above do not reach are included."""
    clients, open_doors = 0, []
    for path in SOURCES:
        for call in _calls(ast.parse(path.read_text())):
            place = f"{path.relative_to(ROOT)}:{call.lineno}"
            if _of_httpx(call):
                clients += 1
                if not _takes_no_proxy(call):
                    open_doors.append(place)
            if isinstance(call.func, ast.Name) and call.func.id in OPENERS and path != OWN_OPENER:
                open_doors.append(place)
    assert open_doors == []
    assert clients > 3


def test_httpx_takes_proxies_from_the_environment_unless_it_is_told_not_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Without this, the tests above would show nothing."""
    monkeypatch.setenv("ALL_PROXY", NO_SCHEME_OF_OURS)
    with pytest.raises(ValueError, match="Unknown scheme for proxy URL"):
        httpx.AsyncClient()
