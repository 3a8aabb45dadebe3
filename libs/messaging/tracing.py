"""Spans of messages. Names and attributes are those of OpenTelemetry's semantic conventions for
messaging and RabbitMQ.

An event carries the context of the span that stated it: of the request, or of the reaction. What
the relay and the consumers do with it are children of that span, so that a purchase is one trace.
A relay's batch holds events of many traces: it has a trace of its own, with a link to each of them.

Without an SDK nothing is recorded, and nothing is prepared for it.
"""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context, attach, detach, get_current
from opentelemetry.propagate import extract
from opentelemetry.trace import Link, NoOpTracerProvider, Span, SpanKind, StatusCode

from libs.messaging.relay.claims import Message, SubjectRows

_tracer = trace.get_tracer("libs.messaging")

MOST_LINKS = 128
"""The most links of one span: as many as the SDK keeps by default."""


def records() -> bool:
    """Whether this process records spans."""
    provider = trace.get_tracer_provider()
    return not isinstance(provider, (trace.ProxyTracerProvider, NoOpTracerProvider))


@contextmanager
def reaction(queue: str, source: str, kind: str, identifier: str, parent: str) -> Iterator[None]:
    """The span of one reaction to the event `identifier`; `parent` is the event's traceparent."""
    context = extract({"traceparent": parent})
    if not records():
        token = attach(context)
        try:
            yield
        finally:
            detach(token)
        return
    attributes = _attributes("process", "process", f"{source}:{kind}:{queue}", kind, identifier)
    with _span(f"process {queue}", context, SpanKind.CONSUMER, attributes, _links([context])):
        yield


@contextmanager
def batch(service: str, subjects: Sequence[SubjectRows], started_ns: int) -> Iterator[None]:
    """The span of a relay's batch, begun at `started_ns`, linked to what stated its events."""
    if not subjects or not records():
        yield
        return
    messages = [message for each in subjects for message in each.messages]
    stated = [_stated(message) for message in messages[:MOST_LINKS] if message.traceparent]
    attributes: dict[str, str | int] = {
        "messaging.system": "rabbitmq",
        "messaging.destination.name": service,
        "messaging.batch.message_count": len(messages),
    }
    name, links = f"relay {service}", _links(stated)
    with _span(name, Context(), SpanKind.INTERNAL, attributes, links, started_ns):
        yield


def publish(exchange: str, message: Message) -> Span | None:
    """The span of one message from its sending to the broker's answer, linked to the span of the
    batch. None where the event has no trace. Call it only when `records` is true, and `end` the
    span.

    Its kind is CLIENT: the message's own context is that of the span which stated the event.
    """
    if message.traceparent is None:
        return None
    destination = f"{exchange}:{message.type}"
    return _tracer.start_span(
        f"publish {destination}",
        _stated(message),
        SpanKind.CLIENT,
        {
            **_attributes("publish", "send", destination, message.type, str(message.id)),
            "messaging.message.body.size": len(message.body),
        },
        links=_links([get_current()]),
    )


def end(span: Span | None, error: str | None = None) -> None:
    """End the span of a message; `error` is the type of what went wrong."""
    if span is not None:
        if error is not None:
            _failed(span, error)
        span.end()


@contextmanager
def _span(
    name: str,
    parent: Context,
    kind: SpanKind,
    attributes: Mapping[str, str | int],
    links: list[Link],
    started_ns: int | None = None,
) -> Iterator[None]:
    """A span that names only the type of an error raised within: an error's message may hold
    personal data.
    """
    with _tracer.start_as_current_span(
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
            _failed(span, type(error).__name__)
            raise


def _attributes(
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


def _stated(message: Message) -> Context:
    return extract({"traceparent": message.traceparent or ""})


def _links(contexts: Sequence[Context]) -> list[Link]:
    found = (trace.get_current_span(each).get_span_context() for each in contexts)
    return [Link(each) for each in found if each.is_valid]


def _failed(span: Span, error: str) -> None:
    span.set_attribute("error.type", error)
    span.set_status(StatusCode.ERROR)
