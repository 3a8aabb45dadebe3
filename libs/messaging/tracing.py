"""Spans of messages have the names and attributes of OpenTelemetry's semantic conventions for
messaging and RabbitMQ.

An event carries the context of the span that wrote it: of the request, or of the reaction. What
the relay and the consumers do with it are children of that span, so that a purchase is one trace.
A relay's batch holds events of many traces: it has a trace of its own, with a link to each of them.

Without an SDK nothing is recorded, and nothing is prepared for it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach
from opentelemetry.propagate import extract
from opentelemetry.trace import Link, NoOpTracerProvider, Span, SpanKind, StatusCode

tracer = trace.get_tracer("libs.messaging")


def records() -> bool:
    """Return whether this process records spans."""
    provider = trace.get_tracer_provider()
    return not isinstance(provider, (trace.ProxyTracerProvider, NoOpTracerProvider))


@contextmanager
def reaction(queue: str, source: str, kind: str, identifier: str, parent: str) -> Iterator[None]:
    """Record the span of one reaction to the event `identifier`; `parent` is its traceparent."""
    context = extract({"traceparent": parent})
    if not records():
        token = attach(context)
        try:
            yield
        finally:
            detach(token)
        return
    attributes = attributes_of("process", "process", f"{source}:{kind}:{queue}", kind, identifier)
    with recording(f"process {queue}", context, SpanKind.CONSUMER, attributes, links_to([context])):
        yield


def end(span: Span | None, error: str | None = None) -> None:
    """End the span of a message; `error` is the type of the error, if any."""
    if span is not None:
        if error is not None:
            mark_failed(span, error)
        span.end()


@contextmanager
def recording(
    name: str,
    parent: Context,
    kind: SpanKind,
    attributes: Mapping[str, str | int],
    links: list[Link],
    started_ns: int | None = None,
) -> Iterator[None]:
    """Record a span that names only the type of an error raised within: an error's message may hold
    personal data.
    """
    with tracer.start_as_current_span(
        name,
        parent,
        kind,
        attributes,
        links=links,
        start_time=started_ns,
        record_exception=False,
        set_status_on_exception=False,
    ) as span:
        try:
            yield
        except BaseException as error:
            mark_failed(span, type(error).__name__)
            raise


def attributes_of(
    name: str, operation: str, destination: str, routing_key: str, identifier: str
) -> dict[str, str]:
    return {
        "messaging.system": "rabbitmq",
        "messaging.operation.name": name,
        "messaging.operation.type": operation,
        "messaging.destination.name": destination,
        "messaging.rabbitmq.destination.routing_key": routing_key,
        "messaging.message.id": identifier,
    }


def links_to(contexts: Sequence[Context]) -> list[Link]:
    found = (trace.get_current_span(each).get_span_context() for each in contexts)
    return [Link(each) for each in found if each.is_valid]


def mark_failed(span: Span, error: str) -> None:
    span.set_attribute("error.type", error)
    span.set_status(StatusCode.ERROR)
