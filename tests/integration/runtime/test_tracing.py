"""A request's trace and id are in the events it causes, and its spans are sent to a collector."""

import json
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any

import asyncpg
import httpx
import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status

from libs.runtime.settings import read_settings
from libs.runtime.start_failure import StartFailure
from tests.fixtures.services import ServiceClient
from tests.integration.runtime.notes import NotesSettings
from tests.integration.runtime.test_process import (
    declare_exchange,
    started,
    until_ready,
)

TRACE = "0af7651916cd43dd8448eb211c80319c"
HEADERS = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01"}


async def caused(notes: ServiceClient, database: str, headers: dict[str, str]) -> dict[str, Any]:
    """Return the event that a request caused, and the request id of its answer."""
    answer = await notes.post("/notes", json={"text": "milk"}, headers=headers)
    assert answer.status_code == 201
    connection = await asyncpg.connect(database.replace("+asyncpg", ""))
    try:
        row = await connection.fetchrow("SELECT body, traceparent FROM outbox ORDER BY seq DESC")
    finally:
        await connection.close()
    assert row is not None
    event: dict[str, Any] = json.loads(row["body"])
    assert event["traceparent"] == row["traceparent"]
    assert event["causationid"] == answer.headers["X-Request-Id"]
    return event


async def test_events_go_on_with_the_callers_trace(
    notes: ServiceClient, notes_database: str
) -> None:
    headers = {"traceparent": f"00-{TRACE}-b7ad6b7169203331-01", "X-Request-Id": "0123456789ab"}
    event = await caused(notes, notes_database, headers)
    version, trace, span, flags = event["traceparent"].split("-")
    assert (version, trace, flags) == ("00", TRACE, "01")
    assert span != "b7ad6b7169203331"
    assert event["causationid"] == "0123456789ab"


async def test_a_request_without_a_trace_or_with_a_broken_one_starts_one(
    notes: ServiceClient, notes_database: str
) -> None:
    traces = set()
    for traceparent in (None, "00-xyz-1-01", f"00-{'0' * 32}-b7ad6b7169203331-01"):
        headers = {} if traceparent is None else {"traceparent": traceparent}
        event = await caused(notes, notes_database, headers | {"X-Request-Id": "not an id\x7f"})
        traces.add(event["traceparent"].split("-")[1])
        assert event["causationid"] != "not an id\x7f"
    assert len(traces) == 3
    assert "0" * 32 not in traces


@contextmanager
def collector() -> Iterator[tuple[str, dict[str, list[Span]]]]:
    """Yield the address of a collector of spans, and what it has received, by service."""
    received: dict[str, list[Span]] = {}

    class Collector(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == "/v1/traces"
            for of_resource in ExportTraceServiceRequest.FromString(body).resource_spans:
                attributes = {each.key: each.value for each in of_resource.resource.attributes}
                spans = received.setdefault(attributes["service.name"].string_value, [])
                for of_scope in of_resource.scope_spans:
                    spans.extend(of_scope.spans)
            self.send_response(200)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Collector)
    thread = Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}", received
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


async def test_a_process_sends_the_spans_of_request_relay_and_publish_to_its_collector(
    notes_database: str, vhost: str
) -> None:
    await declare_exchange(vhost)
    with collector() as (address, received):
        environment = {
            "DATABASE_URL": notes_database,
            "RABBITMQ_URL": vhost,
            "OTEL_EXPORTER_OTLP_ENDPOINT": address,
        }
        async with started(environment) as process, httpx.AsyncClient() as client:
            await until_ready(process)
            url = f"{process.url}/notes"
            assert (await client.post(url, json={"text": "milk"}, headers=HEADERS)).is_success
            process.process.send_signal(signal.SIGTERM)  # the process sends its last spans
            code, log = await process.end()
    assert code == 0, log
    spans = {span.name: span for span in received["notes"]}
    assert set(spans) == {"POST /notes", "publish notes:note.taken.v1", "relay notes"}
    request, publish = spans["POST /notes"], spans["publish notes:note.taken.v1"]
    assert request.trace_id.hex() == publish.trace_id.hex() == TRACE
    assert publish.parent_span_id == request.span_id
    assert [link.span_id for link in spans["relay notes"].links] == [request.span_id]
    assert spans["relay notes"].trace_id.hex() != TRACE


async def test_the_span_of_a_request_names_its_route_and_nothing_of_its_path_or_query(
    notes_database: str,
) -> None:
    """A query may hold the token of a forgotten password, and a path a payment code."""
    with collector() as (address, received):
        environment = {
            "DATABASE_URL": notes_database,
            "ROLE": "api",
            "OTEL_EXPORTER_OTLP_ENDPOINT": address,
        }
        async with started(environment) as process, httpx.AsyncClient() as client:
            await until_ready(process)
            assert (await client.get(f"{process.url}/notes?containing=secret")).is_success
            for path in ("/notes/secret/close", "/secret", "/notes/broken"):
                assert (await client.request("SECRET", f"{process.url}{path}")).is_error
            assert (await client.get(f"{process.url}/notes/broken")).status_code == 500
            process.process.send_signal(signal.SIGTERM)
            code, log = await process.end()
    assert code == 0, log
    spans = {span.name: span for span in received["notes"]}
    assert "secret" not in str(received).lower()
    asked, broken = spans["GET /notes"], spans["GET /notes/broken"]
    assert asked.kind == broken.kind == Span.SPAN_KIND_SERVER
    assert asked.status.code == Status.STATUS_CODE_UNSET
    assert broken.status.code == Status.STATUS_CODE_ERROR
    told = {each.key: each.value for each in broken.attributes}
    assert told["http.route"].string_value == "/notes/broken"
    assert told["http.response.status_code"].int_value == 500


@pytest.fixture
def unused() -> Iterator[socket.socket]:
    """Yield a socket whose port nobody else has."""
    with socket.socket() as bound:
        bound.bind(("127.0.0.1", 0))
        yield bound


@pytest.mark.parametrize("listens", [False, True], ids=["is away", "never answers"])
async def test_a_collector_holds_up_neither_a_request_nor_the_end(
    notes_database: str, unused: socket.socket, *, listens: bool
) -> None:
    if listens:
        unused.listen()
    nowhere = f"http://127.0.0.1:{unused.getsockname()[1]}"
    environment = {
        "DATABASE_URL": notes_database,
        "ROLE": "api",
        "OTEL_EXPORTER_OTLP_ENDPOINT": nowhere,
    }
    async with started(environment) as process, httpx.AsyncClient(timeout=5) as client:
        await until_ready(process)
        assert (await client.post(f"{process.url}/notes", json={"text": "milk"})).is_success
        began = time.monotonic()
        process.process.send_signal(signal.SIGTERM)
        code, log = await process.end()
    assert code == 0, log
    assert time.monotonic() - began < 5
    assert "Traceback" not in log


def test_the_collector_is_read_from_the_file_of_settings_too(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("OTEL_EXPORTER_OTLP_ENDPOINT", raising=False)
    monkeypatch.setenv("DATABASE_URL", "postgresql://me:secret@127.0.0.1/notes")
    monkeypatch.setenv("ROLE", "api")
    settings = Path(".env")
    settings.write_text("OTEL_EXPORTER_OTLP_ENDPOINT=http://collector:4318\n")
    assert read_settings(NotesSettings).otel_exporter_otlp_endpoint == "http://collector:4318"
    settings.write_text("OTEL_EXPORTER_OTLP_ENDPOINT=collector:4317\n")
    with pytest.raises(StartFailure, match="write it as http://collector"):
        read_settings(NotesSettings)
