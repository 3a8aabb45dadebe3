"""A lost acknowledgement is no failure, because the message comes again and is skipped."""

from types import SimpleNamespace
from typing import Any

import pytest

from libs.messaging.inbox.rejections import acknowledge


def message_that_raises(error: Exception, *, channel_is_closed: bool) -> Any:
    async def ack() -> None:
        raise error

    return SimpleNamespace(ack=ack, channel=SimpleNamespace(is_closed=channel_is_closed))


@pytest.mark.parametrize("error", [ConnectionError(), Exception()])
async def test_whatever_a_closed_channel_raises_is_a_lost_acknowledgement(error: Exception) -> None:
    await acknowledge(message_that_raises(error, channel_is_closed=True), "queue")


async def test_an_error_on_an_open_channel_is_raised() -> None:
    with pytest.raises(ValueError, match="of another kind"):
        await acknowledge(
            message_that_raises(ValueError("of another kind"), channel_is_closed=False), "queue"
        )
