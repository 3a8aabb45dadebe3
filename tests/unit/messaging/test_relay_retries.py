"""The relay logs events that were not published in one line for each reason."""

import logging
from uuid import UUID

import pytest

from libs.messaging.relay.claims import Message, Outcome, SubjectRows
from libs.messaging.relay.retries import log_failures


def _row(number: int, error: str | None, kind: str = "sold.v1") -> Outcome:
    message = Message(number, UUID(int=number), kind, b"{}", None, expired=False)
    rows = SubjectRows(f"order-{number}", 0, [message], more=False)
    return Outcome(rows, 0 if error else 1, error)


def test_rows_that_fail_for_one_reason_are_one_line(caplog: pytest.LogCaptureFixture) -> None:
    held = [_row(number, "held back: queue a is missing") for number in (1, 2, 3)]
    done = [*held, _row(4, "returned: NO_ROUTE", "paid.v1"), _row(5, None)]
    with caplog.at_level(logging.ERROR, "libs.messaging.relay.retries"):
        log_failures("shop", done)
    assert caplog.messages == [
        f"shop: sold.v1 {UUID(int=1)} and 2 more not delivered: held back: queue a is missing",
        f"shop: paid.v1 {UUID(int=4)} not delivered: returned: NO_ROUTE",
    ]
