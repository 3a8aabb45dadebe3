"""The error for an unreadable message names the place in it, and never its values."""

from typing import Any, cast

import aio_pika
import pytest

from libs.messaging.inbox.delivery import Reader, Unreadable
from services.kpis.infrastructure.consumers import participant

READER = Reader(participant().reactions.by_event["order.completed.v1"])


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"no json", "the message: json_invalid"),
        (b'{"id": "secret"}', "id: uuid_parsing"),
    ],
)
def test_the_place_is_named_also_where_it_is_the_whole_message(body: bytes, says: str) -> None:
    message = cast("Any", aio_pika.Message(body))
    with pytest.raises(Unreadable, match=f"^{says}") as refused:
        READER.read(message)
    assert "secret" not in str(refused.value)
