"""The inbox accepts a message only while it still has the row of its first copy."""

from datetime import timedelta

import pytest

from libs.kernel.clock import utc_now
from libs.messaging.relay.claims import Limits
from libs.messaging.schema.inbox_window import InboxWindow


@pytest.mark.parametrize(
    ("age", "held"),
    [
        (timedelta(days=14, seconds=-1), True),
        (timedelta(days=14, seconds=1), False),
        (timedelta(minutes=-59), True),
        (timedelta(minutes=-61), False),
    ],
)
def test_the_window_holds_what_its_rows_still_know(age: timedelta, held: bool) -> None:
    now = utc_now()
    assert InboxWindow().holds(now - age, now) is held


def test_rows_are_kept_longer_than_any_message_is_accepted() -> None:
    assert InboxWindow().kept > InboxWindow().past
    assert InboxWindow(past=timedelta(days=60)).kept > timedelta(days=60)


def test_a_relay_parks_its_rows_long_before_an_inbox_would_refuse_them() -> None:
    assert Limits().window * 2 <= InboxWindow().past
