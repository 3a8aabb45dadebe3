"""A stopping relay first publishes the rows that are due, and knows when none is left."""

import pytest

from libs.messaging.outbox.wakeup import WakeUp
from libs.messaging.relay.claimer import Work
from libs.messaging.relay.claims import Batch, Message, SubjectRows
from libs.messaging.relay.settings import RelaySettings

NOTHING = Batch([])
SOME = Batch([SubjectRows("order", 0, list[Message](), more=True)])


@pytest.fixture
def work() -> Work:
    draining = Work(WakeUp(), RelaySettings())
    draining.drain()
    return draining


def test_it_is_drained_when_a_claim_finds_nothing(work: Work) -> None:
    _, signals = work.begin()
    work.claimed(NOTHING, signals)
    assert work.drained.is_set()


def test_it_is_not_drained_while_another_claimer_has_rows_in_hand(work: Work) -> None:
    _, signals = work.begin()
    work.claimed(SOME, signals)
    _, signals = work.begin()
    work.claimed(NOTHING, signals)
    assert not work.drained.is_set()


def test_it_is_not_drained_by_a_claim_that_began_before_another_let_rows_go(work: Work) -> None:
    """The claim found the rows that were let go still locked."""
    _, first = work.begin()
    work.claimed(SOME, first)
    _, second = work.begin()
    work.put_down(SOME)
    work.settled(SOME, first, may_go=101)
    work.claimed(NOTHING, second)
    assert not work.drained.is_set()
