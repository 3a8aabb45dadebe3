"""The table of time spans in docs/library.md agrees with the code."""

import re
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

from libs.messaging.relay.claims import Limits
from libs.messaging.schema.inbox_window import INBOX_WINDOW

LIBRARY = (Path(__file__).parents[3] / "docs" / "library.md").read_text()
ROW = re.compile(r"^\| [\w ]+ \| (\d+) \| .+ \| `(\w+\.\w+)` \|$", re.MULTILINE)
SPANS = {
    "Limits.window": Limits().window,
    "InboxWindow.replayable": INBOX_WINDOW.replayable,
    "InboxWindow.past": INBOX_WINDOW.past,
    "InboxWindow.kept": INBOX_WINDOW.kept,
}


def test_the_documented_spans_are_those_of_the_code() -> None:
    assert {place: timedelta(days=int(days)) for days, place in ROW.findall(LIBRARY)} == SPANS


def test_each_span_is_at_least_a_day_shorter_than_the_next() -> None:
    assert all(
        longer - shorter >= timedelta(days=1) for shorter, longer in pairwise(SPANS.values())
    )
