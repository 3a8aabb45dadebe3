"""An event has a span at each step: written to the outbox, relayed, published, consumed."""

import json
from collections.abc import AsyncIterator, Callable, Collection
from contextlib import asynccontextmanager
from uuid import UUID

import pytest
from aio_pika.abc import AbstractChannel
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import SpanKind, StatusCode

from libs.kernel.ids import uuid7
from libs.messaging import tracing
from libs.messaging.envelope import Received
from libs.messaging.relay.relay import Relay
from libs.messaging.schema.inbox_window import InboxWindow
from tests.fixtures.polling import eventually
from tests.integration.messaging import sample
from tests.integration.messaging.effects import Subscribe
from tests.integration.messaging.relaying import QUICK
from tests.integration.messaging.wire import send

TRACE, SPAN = 0x0AF7651916CD43DD8448EB211C80319C, 0xB7AD6B7169203331
TRACEPARENT = f"00-{TRACE:032x}-{SPAN:016x}-01"
PROCESS, PUBLISH, RELAY = (
    f"process {sample.QUEUE}",
    "publish credit:credit.reserved.v1",
    "relay credit",
)
SECRET = "maria@example.com"

Spans = Callable[[str], list[ReadableSpan]]


@pytest.fixture
def spans(monkeypatch: pytest.MonkeyPatch) -> Spans:
    """Return a function that returns the finished spans with a name."""
    exporter, provider = InMemorySpanExporter(), TracerProvider()
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    monkeypatch.setattr(tracing, "tracer", provider.get_tracer("test"))
    monkeypatch.setattr(tracing, "records", lambda: True)
    return lambda name: [span for span in exporter.get_finished_spans() if span.name == name]


@asynccontextmanager
async def relaying(database: str, broker: str, unconsumed: Collection[str]) -> AsyncIterator[None]:
    relay = Relay(
        "credit",
        database_dsn=database.replace("+asyncpg", ""),
        rabbitmq_url=broker,
        window=InboxWindow(),
        unconsumed=unconsumed,
        settings=QUICK,
    )
    await relay.start()
    try:
        yield
    finally:
        await relay.stop()


def placed(event_id: UUID) -> bytes:
    """Return an event that was written in the span above."""
    envelope = json.loads(sample.on_the_wire(sample.order_placed(), event_id))
    return json.dumps({**envelope, "traceparent": TRACEPARENT}).encode()


async def first(spans: Spans, name: str) -> ReadableSpan:
    async def found() -> list[ReadableSpan]:
        return spans(name)

    return (await eventually(found))[0]


async def test_a_reaction_and_what_it_publishes_are_spans_of_the_trace_of_their_cause(
    channel: AbstractChannel, subscribe: Subscribe, spans: Spans, database: str, broker: str
) -> None:
    event_id = uuid7()
    await subscribe()
    await send(channel, placed(event_id))
    async with relaying(database, broker, [sample.CreditReserved.type]):
        process, publish, relay = [await first(spans, name) for name in (PROCESS, PUBLISH, RELAY)]

    assert (process.kind, publish.kind) == (SpanKind.CONSUMER, SpanKind.CLIENT)
    assert process.context is not None
    assert process.parent is not None
    assert (process.parent.trace_id, process.parent.span_id) == (TRACE, SPAN)
    assert [link.context.span_id for link in process.links] == [SPAN]
    assert process.attributes == {
        "messaging.system": "rabbitmq",
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.destination.name": f"shop:order.placed.v1:{sample.QUEUE}",
        "messaging.rabbitmq.destination.routing_key": "order.placed.v1",
        "messaging.message.id": str(event_id),
    }
    assert publish.parent is not None
    assert publish.parent.span_id == process.context.span_id
    assert publish.parent.trace_id == TRACE
    assert publish.attributes is not None
    size = publish.attributes["messaging.message.body.size"]
    assert isinstance(size, int)
    assert size > 100
    assert publish.attributes["messaging.destination.name"] == "credit:credit.reserved.v1"
    assert publish.attributes["messaging.operation.type"] == "send"
    assert publish.status.is_ok
    assert relay.context is not None
    assert relay.parent is None
    assert relay.context.trace_id != TRACE
    assert [link.context.span_id for link in relay.links] == [process.context.span_id]
    assert [link.context.span_id for link in publish.links] == [relay.context.span_id]
    assert relay.attributes is not None
    assert relay.attributes["messaging.batch.message_count"] == 1


async def test_the_span_of_a_reaction_that_fails_names_the_errors_type_and_not_its_words(
    channel: AbstractChannel, subscribe: Subscribe, spans: Spans
) -> None:
    async def refuse(_: sample.CreditUnitOfWork, __: Received[sample.OrderPlacedView]) -> None:
        raise LookupError(SECRET)

    await subscribe(refuse)
    await send(channel, placed(uuid7()))
    process = await first(spans, PROCESS)
    assert process.status.status_code is StatusCode.ERROR
    assert process.attributes is not None
    assert process.attributes["error.type"] == "LookupError"
    assert SECRET not in process.to_json()


async def test_the_span_of_a_message_that_reaches_no_queue_is_an_error(
    channel: AbstractChannel, subscribe: Subscribe, spans: Spans, database: str, broker: str
) -> None:
    await subscribe()
    await send(channel, placed(uuid7()))
    async with relaying(database, broker, []):
        publish = await first(spans, PUBLISH)
    assert publish.status.status_code is StatusCode.ERROR
    assert publish.attributes is not None
    assert publish.attributes["error.type"] == "PublishError"
