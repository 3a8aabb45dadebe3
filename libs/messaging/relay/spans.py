"""A relay's batch and its messages have these spans."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from opentelemetry.context import Context, get_current
from opentelemetry.propagate import extract
from opentelemetry.trace import Span, SpanKind

from libs.messaging import tracing
from libs.messaging.relay.claims import Message, SubjectRows

MOST_LINKS = 128
"""One span has at most this many links, as the SDK keeps by default."""


@contextmanager
def batch(service: str, subjects: Sequence[SubjectRows], started_ns: int) -> Iterator[None]:
    """Record the span of a batch, begun at `started_ns`, linked to what wrote its events."""
    if not subjects or not tracing.records():
        yield
        return
    messages = [message for each in subjects for message in each.messages]
    origins = [_origin(message) for message in messages[:MOST_LINKS] if message.traceparent]
    attributes: dict[str, str | int] = {
        "messaging.system": "rabbitmq",
        "messaging.destination.name": service,
        "messaging.batch.message_count": len(messages),
    }
    name, links = f"relay {service}", tracing.links_to(origins)
    with tracing.recording(name, Context(), SpanKind.INTERNAL, attributes, links, started_ns):
        yield


def publish(exchange: str, message: Message) -> Span | None:
    """Return the span of one message from its sending to the broker's answer, linked to the span of
    the batch. None where the event has no trace. Call this only when `records` is true, and `end`
    the span.

    Its kind is CLIENT: the message's own context is that of the span that wrote the event.
    """
    if message.traceparent is None:
        return None
    destination = f"{exchange}:{message.type}"
    return tracing.tracer.start_span(
        f"publish {destination}",
        _origin(message),
        SpanKind.CLIENT,
        {
            **tracing.attributes_of("publish", "send", destination, message.type, str(message.id)),
            "messaging.message.body.size": len(message.body),
        },
        links=tracing.links_to([get_current()]),
    )


def _origin(message: Message) -> Context:
    return extract({"traceparent": message.traceparent or ""})
