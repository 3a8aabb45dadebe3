"""Each rule of a payout holds by itself."""

from datetime import timedelta
from uuid import UUID

import pytest

from libs.kernel.calls import Unanswered
from services.payouts.domain.bank import Answer, BankPolicy, Paid, Refused
from services.payouts.domain.errors import PayoutNotFailed, StalePayout
from services.payouts.domain.payout import Payout, Status

CLAIM, LATER_CLAIM = UUID(int=10), UUID(int=11)
POLICY = BankPolicy(timedelta(seconds=1), timedelta(seconds=5), tries=3)
PATIENCE = timedelta(seconds=0.05)


def payout(status: Status = Status.PENDING, *, attempts: int = 1, claim: UUID = CLAIM) -> Payout:
    return Payout(
        payout_id=UUID(int=2),
        tenant_id="default",
        external_id="bonus-1",
        amount_cents=500,
        status=status,
        attempts=attempts,
        claim=claim if status is Status.PENDING else None,
    )


def consume(asked: Payout, answer: Answer, claim: UUID = CLAIM) -> list[str]:
    return [event.type for event in asked.answered(answer, claim, POLICY)]


def test_refused_payout_is_tried_again_until_its_last_try() -> None:
    asked = payout(attempts=2)
    assert consume(asked, Refused("limit_reached")) == []
    assert (asked.status, asked.claim, asked.call_in) == (Status.PENDING, None, POLICY.delay(2))
    asked = payout(attempts=3)
    assert consume(asked, Refused("limit_reached")) == ["payout.failed.v1"]
    assert (asked.status, asked.reason) == (Status.FAILED, "limit_reached")


def test_refusal_for_good_fails_at_the_first_try() -> None:
    asked = payout()
    assert consume(asked, Refused("account_closed", for_good=True)) == ["payout.failed.v1"]


def test_payout_without_an_answer_never_fails() -> None:
    asked = payout(attempts=1_000)
    assert consume(asked, Unanswered("no answer")) == ["payout.unanswered.v1"]
    assert asked.status is Status.PENDING


@pytest.mark.parametrize("answer", [Refused("no", for_good=True), Unanswered("no answer")])
def test_no_from_an_older_call_does_not_count_while_a_later_one_is_under_way(
    answer: Answer,
) -> None:
    asked = payout(claim=LATER_CLAIM)
    assert consume(asked, answer, CLAIM) == []
    assert (asked.status, asked.claim) == (Status.PENDING, LATER_CLAIM)


@pytest.mark.parametrize("status", [Status.PENDING, Status.FAILED])
def test_yes_from_an_older_call_counts_for_the_money_has_moved(status: Status) -> None:
    asked = payout(status, claim=LATER_CLAIM)
    assert consume(asked, Paid("ref"), CLAIM) == ["payout.completed.v1"]
    assert (asked.status, asked.bank_reference, asked.claim) == (Status.PAID, "ref", None)


@pytest.mark.parametrize("answer", [Paid("other"), Refused("no"), Unanswered("no answer")])
def test_nothing_changes_what_was_paid(answer: Answer) -> None:
    asked = payout()
    consume(asked, Paid("ref"))
    assert consume(asked, answer) == []
    assert (asked.status, asked.bank_reference, asked.reason) == (Status.PAID, "ref", None)


def test_retry_begins_a_new_episode_at_once() -> None:
    asked = payout(Status.FAILED, attempts=3)
    asked.retry()
    assert (asked.status, asked.attempts, asked.call_in) == (Status.PENDING, 0, timedelta(0))
    assert asked.version == 2


@pytest.mark.parametrize("status", [Status.PENDING, Status.PAID])
def test_only_a_failed_payout_is_retried(status: Status) -> None:
    with pytest.raises(PayoutNotFailed):
        payout(status).retry()


def test_older_version_is_stale() -> None:
    payout().check_version(1)
    payout().check_version(None)
    with pytest.raises(StalePayout):
        payout().check_version(2)
