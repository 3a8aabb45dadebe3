"""Properties encoded piecewise are byte for byte what the protocol library would encode."""

from uuid import uuid4

import pytest
from pamqp.commands import Basic

from libs.messaging.claims import Message
from libs.messaging.properties import Properties

TRACE = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01"


@pytest.mark.parametrize("trace", [TRACE, None, "odd"])
def test_the_broker_sees_the_same_properties_either_way(trace: str | None) -> None:
    properties = Properties("orders", "orders_app")
    for _ in range(2):  # the second time from the pieces kept
        message = Message(1, uuid4(), "order.confirmed.v1", b"{}", trace, expired=False)
        expected = Basic.Properties(
            content_type="application/cloudevents+json",
            headers={"traceparent": trace} if trace else None,
            delivery_mode=2,
            message_id=str(message.id),
            message_type="order.confirmed.v1",
            user_id="orders_app",
            app_id="orders",
        )
        made = properties.of(message)
        assert made.message_id == str(message.id)
        assert made.marshal() == expected.marshal()
