"""No relay starts if its events could come again after the inbox has forgotten their first copy."""

from datetime import timedelta

import pytest

from libs.messaging.relay.claims import Limits
from libs.messaging.relay.relay import Relay, RelaySettings
from libs.messaging.schema.inbox_window import InboxWindow

REMEMBERED = InboxWindow().replayable
LONGER = REMEMBERED + timedelta(seconds=1)


def relay(*, window: timedelta, retention: timedelta) -> Relay:
    return Relay(
        "shop",
        database_dsn="postgresql://",
        rabbitmq_url="amqp://",
        window=InboxWindow(),
        retention=retention,
        settings=RelaySettings(limits=Limits(window=window)),
    )


@pytest.mark.parametrize(("window", "retention"), [(LONGER, timedelta(1)), (timedelta(1), LONGER)])
def test_a_relay_that_could_outlive_the_inbox_is_refused(
    window: timedelta, retention: timedelta
) -> None:
    relay(window=REMEMBERED, retention=REMEMBERED)
    with pytest.raises(ValueError, match="longer than an inbox remembers"):
        relay(window=window, retention=retention)


def test_a_replayable_event_is_one_the_inbox_still_holds() -> None:
    window = InboxWindow()
    assert window.replayable < window.past < window.kept


def test_a_relay_goes_by_the_window_it_is_given() -> None:
    month = InboxWindow(past=timedelta(days=30))
    Relay(
        "shop",
        database_dsn="postgresql://",
        rabbitmq_url="amqp://",
        window=month,
        retention=month.replayable,
    )
