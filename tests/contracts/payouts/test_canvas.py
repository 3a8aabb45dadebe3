"""The canvas of payouts names every status, its next statuses, and the sandbox's ids."""

import re
from collections.abc import Callable
from contextlib import suppress
from datetime import timedelta
from functools import partial
from uuid import UUID

from libs.kernel.calls import Unanswered
from services.payouts.domain.bank import BankPolicy, Paid, Refused
from services.payouts.domain.errors import PayoutNotFailed
from services.payouts.domain.payout import Payout, Status
from services.payouts.infrastructure.sandbox_bank import SCENARIOS
from tests.contracts.canvas import first_column, section

CLAIM = UUID(int=2)


def test_statuses_and_sandbox_ids_are_those_of_the_code() -> None:
    assert set(first_column(section("payouts", "The payout"))) == set(Status)
    assert set(first_column(section("payouts", "The sandbox bank"))) == set(SCENARIOS)


def test_the_canvas_shows_where_each_status_leads() -> None:
    shown = re.findall(
        r"^\| `([A-Z]+)` \| ?(.*?) ?\|$", section("payouts", "The payout"), flags=re.MULTILINE
    )
    leads = {status: set(re.findall("[A-Z]{4,}", after)) for status, after in shown}
    assert leads == {status.value: leads_to(status) for status in Status}


def leads_to(status: Status) -> set[str]:
    """Return every next status, by an answer of the bank or a person's decision."""
    policy = BankPolicy(timedelta(seconds=1), timedelta(seconds=1), tries=1)
    answers = (Paid("ref"), Refused("no", for_good=True), Unanswered("silent"))
    acts: list[Callable[[Payout], object]] = [Payout.retry]
    acts += [partial(Payout.answered, answer=each, claim=CLAIM, policy=policy) for each in answers]
    after = set()
    for act in acts:
        payout = Payout(
            payout_id=UUID(int=1),
            tenant_id="default",
            external_id="bonus-1",
            amount_cents=1,
            status=status,
            attempts=1,
            claim=CLAIM if status is Status.PENDING else None,
        )
        with suppress(PayoutNotFailed):
            act(payout)
        after.add(payout.status.value)
    return after - {status.value}
