"""Frames encoded piecewise are what the protocol library would read and write."""

from types import SimpleNamespace
from typing import Any, cast
from uuid import uuid4

import pytest
from aiormq.channel import Channel
from pamqp import frame
from pamqp.body import ContentBody
from pamqp.commands import Basic
from pamqp.header import ContentHeader

from libs.messaging.relay.claims import Message
from libs.messaging.relay.frames import Frames

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"
CHANNEL = cast("Channel", SimpleNamespace(number=7, max_content_size=100))


def read(encoded: bytes) -> list[Any]:
    """Return the frames, each of which must be on the channel."""
    frames = []
    while encoded:
        size, number, found = frame.unmarshal(encoded)
        assert number == CHANNEL.number
        frames.append(found)
        encoded = encoded[size:]
    return frames


def message(
    *, kind: str = "order.confirmed.v1", trace: str | None = TRACE, size: int = 2
) -> Message:
    return Message(1, uuid4(), kind, b"x" * size, trace, False)


@pytest.mark.parametrize("trace", [TRACE, None, "odd"])
def test_the_broker_sees_the_same_properties_however_they_are_encoded(trace: str | None) -> None:
    frames = Frames("orders", "orders_app", ())
    for _ in range(2):  # the second time uses the pieces kept
        sent = message(trace=trace)
        _, header, _ = read(frames.of(sent, CHANNEL))
        assert isinstance(header, ContentHeader)
        expected = Basic.Properties(
            content_type="application/cloudevents+json",
            headers={"traceparent": trace} if trace else None,
            delivery_mode=2,
            message_id=str(sent.id),
            message_type="order.confirmed.v1",
            user_id="orders_app",
            app_id="orders",
        )
        assert header.properties == expected


@pytest.mark.parametrize(("kind", "mandatory"), [("order.confirmed.v1", True), ("done.v1", False)])
def test_only_a_final_type_goes_out_without_the_mandatory_flag(kind: str, mandatory: bool) -> None:
    publish, *_ = read(Frames("orders", "orders_app", ["done.v1"]).of(message(kind=kind), CHANNEL))
    assert isinstance(publish, Basic.Publish)
    assert (publish.exchange, publish.routing_key) == ("orders", kind)
    assert publish.mandatory is mandatory


@pytest.mark.parametrize(("size", "parts"), [(0, []), (100, [100]), (101, [100, 1])])
def test_a_body_is_cut_where_a_frame_is_full(size: int, parts: list[int]) -> None:
    _, header, *bodies = read(Frames("orders", "orders_app", ()).of(message(size=size), CHANNEL))
    assert header.body_size == size
    assert all(isinstance(body, ContentBody) for body in bodies)
    assert [len(body.value) for body in bodies] == parts
