"""Each request gets an id, a trace context and a cause; it is logged and measured, and an exception
that nobody caught is answered 500.

With OTEL_EXPORTER_OTLP_ENDPOINT set the OpenTelemetry SDK records spans. Without it, a trace
context costs a few microseconds: it is passed on, so that one saga is one trace in this case too.
"""

import re
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread
from time import perf_counter
from typing import TYPE_CHECKING

import structlog
from opentelemetry import context, trace
from opentelemetry.context import Context
from opentelemetry.propagate import extract
from opentelemetry.trace import (
    NonRecordingSpan,
    Span,
    SpanContext,
    SpanKind,
    StatusCode,
    TraceFlags,
)
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from libs.messaging.outbox.causation import caused_by
from libs.messaging.tracing import records
from libs.runtime.metrics import observe_request
from libs.runtime.problems import Internal, problem
from libs.runtime.routes import template_of

if TYPE_CHECKING:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

log = structlog.get_logger(__name__)
_tracer = trace.get_tracer(__name__)

OF_MACHINES = frozenset({"/health", "/ready", "/metrics"})
"""Monitoring requests these paths every few seconds: they get no line in the log and no span."""

FLUSH_SECONDS = 2.0
"""The end of a process waits for the collector at most this long. The exporter alone would try for
ten seconds to send each batch.
"""

_METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REQUEST_ID = re.compile(rb"[0-9A-Fa-f-]{8,64}")
_TRACEPARENT = re.compile(rb"[0-9a-f]{2}-([0-9a-f]{32})-([0-9a-f]{16})-([0-9a-f]{2})(-.*)?")


def span_exporter(endpoint: str) -> "OTLPSpanExporter":
    """Return the exporter to this collector, over OTLP/HTTP and never through a proxy."""
    import requests
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter

    session = requests.Session()
    session.trust_env = False
    return OTLPSpanExporter(endpoint=f"{endpoint.rstrip('/')}/v1/traces", session=session)


@contextmanager
def recording(service: str, endpoint: str) -> Iterator[None]:
    """Send the spans of `service` to the collector at `endpoint`; once in a process. Without an
    `endpoint` no span is recorded. The last spans are sent at the end, which waits for the
    collector for at most FLUSH_SECONDS.
    """
    if not endpoint:
        yield
        return
    from opentelemetry.sdk.resources import SERVICE_NAME, Resource
    from opentelemetry.sdk.trace import TracerProvider
    from opentelemetry.sdk.trace.export import BatchSpanProcessor

    resource = Resource.create({SERVICE_NAME: service})
    provider = TracerProvider(resource=resource, shutdown_on_exit=False)
    provider.add_span_processor(BatchSpanProcessor(span_exporter(endpoint)))
    trace.set_tracer_provider(provider)
    try:
        yield
    finally:
        last = Thread(target=provider.shutdown, daemon=True)
        last.start()
        last.join(FLUSH_SECONDS)


class RequestContext:
    """This pure ASGI middleware gives a request an id and a trace, and answers uncaught errors."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return await self._app(scope, receive, send)
        started = perf_counter()
        request_id = _request_id(scope)
        identity = (b"x-request-id", request_id.encode())
        status, streaming = 0, False

        async def send_with_id(message: Message) -> None:
            nonlocal status, streaming
            if message["type"] == "http.response.start":
                status = message["status"]
                streaming = _is_event_stream(message)
                message["headers"] = [*message.get("headers", ()), identity]
            await send(message)

        span = _begin_span(scope) if records() and scope["path"] not in OF_MACHINES else None
        token = context.attach(trace.set_span_in_context(span or _trace_of(scope)))
        try:
            with caused_by(request_id):
                await self._app(scope, receive, send_with_id)
        except Exception:
            log.exception("request failed", request_id=request_id)
            if status:
                raise
            answer = problem(Internal())
            await answer(scope, receive, send_with_id)
        finally:
            context.detach(token)
            route, seconds = _template(scope), perf_counter() - started
            if span is not None:
                _end_span(span, f"{_method(scope)} {route}", route, status)
            if not streaming:
                observe_request(scope["method"], route, status, seconds)
            if route not in OF_MACHINES:
                log.info(
                    "request",
                    method=scope["method"],
                    route=route,  # the path itself may hold a payment code
                    status=status,
                    ms=round(seconds * 1000, 1),
                    request_id=request_id,
                )


def _is_event_stream(start: Message) -> bool:
    """A stream lasts as long as a page shows it, so its time is no duration of a request."""
    return any(
        name.lower() == b"content-type" and value.startswith(b"text/event-stream")
        for name, value in start.get("headers", ())
    )


def _template(scope: Scope) -> str:
    """Return the path's template. What is refused before it is routed (a body too large, no place)
    counts under the route it was meant for.
    """
    found = getattr(scope.get("route"), "path", None)
    return found or template_of(scope["app"], scope["method"], scope["path"]) or "unmatched"


def _request_id(scope: Scope) -> str:
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _REQUEST_ID.fullmatch(value):
            return bytes(value).decode()
    return secrets.token_hex(16)


def _trace_of(scope: Scope) -> NonRecordingSpan:
    """Return a span that nobody records, of the caller's trace or a new one, to pass it on."""
    trace_id, flags = secrets.randbits(128) or 1, TraceFlags(TraceFlags.SAMPLED)
    if (match := _traceparent(scope)) is not None:
        trace_id, flags = int(match[1], 16) or trace_id, TraceFlags(int(match[3], 16))
    span = SpanContext(trace_id, secrets.randbits(64) or 1, is_remote=False, trace_flags=flags)
    return NonRecordingSpan(span)


def _begin_span(scope: Scope) -> Span:
    """Begin the span of a request, of the caller's trace or of a new one. It names neither path nor
    query: the path may hold a payment code, and the query the token of a forgotten password.
    """
    match = _traceparent(scope)
    parent = extract({"traceparent": match[0].decode()} if match else {}, Context())
    attributes = {"http.request.method": _method(scope), "url.scheme": scope.get("scheme", "http")}
    return _tracer.start_span("HTTP", parent, SpanKind.SERVER, attributes)


def _end_span(span: Span, name: str, route: str, status: int) -> None:
    span.update_name(name)
    span.set_attributes({"http.route": route, "http.response.status_code": status})
    if status >= 500 or not status:
        span.set_attribute("error.type", str(status or "unanswered"))
        span.set_status(StatusCode.ERROR)
    span.end()


def _method(scope: Scope) -> str:
    return scope["method"] if scope["method"] in _METHODS else "_OTHER"


def _traceparent(scope: Scope) -> re.Match[bytes] | None:
    for name, value in scope["headers"]:
        if name == b"traceparent" and (match := _TRACEPARENT.fullmatch(value)):
            return match
    return None
