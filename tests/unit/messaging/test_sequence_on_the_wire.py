"""`sequence` of CloudEvents is text on the wire; numbers of older publishers are read too."""

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, ClassVar
from uuid import UUID

import pytest

from libs.kernel.ids import uuid7
from libs.messaging.envelope import EventData, Received, encode
from services.events import PurchaseEvent

ORDER = UUID(int=1)


@dataclass(frozen=True, kw_only=True)
class Placed(PurchaseEvent):
    type: ClassVar[str] = "order.placed.v1"


def on_the_wire(sequence: int) -> Any:
    placed = Placed(tenant_id="default", sequence=sequence, order_id=ORDER)
    now = datetime.now(UTC)
    return json.loads(
        encode(placed, event_id=uuid7(), source="orders", time=now, cause=None, traceparent=None)
    )


def test_text_sorts_as_the_events_do() -> None:
    numbers = [1, 2, 9, 10, 99, 100, 2**31]
    written = [on_the_wire(number)["sequence"] for number in numbers]
    assert written == sorted(written)
    assert all(isinstance(each, str) for each in written)


@pytest.mark.parametrize("written", [7, "7", "0000000007"])
def test_both_forms_are_read(written: object) -> None:
    message = json.dumps({**on_the_wire(1), "sequence": written})
    assert Received[EventData].model_validate_json(message).sequence == 7
