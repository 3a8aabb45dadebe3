"""Closed orders consumed again, workers and persons in any order, with crashes and lost answers.

However it goes, once everything has been delivered and the bank answers again, the seller has been
paid once, and what was published agrees with it.
"""

import asyncio
from collections import Counter
from copy import copy
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from libs.kernel.errors import DomainError
from services.payouts.application.call_bank import call_bank
from services.payouts.application.pay_seller import pay_seller
from services.payouts.application.record_answer import record_answer
from services.payouts.application.retry_payout import retry_payout
from services.payouts.application.settle_payout import PayoutSettlement, settle_payout
from services.payouts.domain.bank import Answer, BankPolicy
from services.payouts.domain.payout import Payout, Status
from tests.unit.payouts.memory import MemoryBank, MemoryUnitOfWork

ORDER, PAYOUT, SELLER = UUID(int=1), UUID(int=2), UUID(int=3)
LEASE = timedelta(seconds=30)
POLICY = BankPolicy(timedelta(seconds=1), timedelta(seconds=8), tries=2, silent_tries=2)
MOODS = st.sampled_from(["pay", "refuse", "refuse for good", "silent before", "silent after"])


class AnyOrder(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.uow = MemoryUnitOfWork()
        self.bank = MemoryBank()
        self.claimed: list[tuple[datetime, Payout]] = []
        self.answered: list[tuple[Payout, Answer]] = []
        self.episodes = 1

    def do(self, work: Any) -> Any:
        return self.runner.run(work)

    @property
    def payout(self) -> Payout | None:
        return self.uow.payouts.rows.get(PAYOUT)

    @property
    def types(self) -> Counter[str]:
        return Counter(event.type for event in self.uow.published)

    @rule()
    def order_closed(self) -> None:
        self.do(
            pay_seller(
                self.uow,
                tenant_id="default",
                order_id=ORDER,
                seller_id=SELLER,
                amount_cents=500,
                payout_id=PAYOUT,
            )
        )

    @rule(seconds=st.sampled_from([1, 9, 31]))
    def time_passes(self, seconds: int) -> None:
        """A worker that has not called when its lease ends died: a call is shorter than that."""
        self.uow.payouts.now += timedelta(seconds=seconds)
        now = self.uow.payouts.now
        self.claimed = [(until, payout) for until, payout in self.claimed if until > now]

    @rule()
    def worker_claims(self) -> None:
        claimed = self.do(self.uow.payouts.claim_calls(4, LEASE))
        self.claimed += [(self.uow.payouts.now + LEASE, payout) for payout in claimed]

    @precondition(lambda self: self.claimed)
    @rule(mood=MOODS)
    def worker_calls(self, mood: str) -> None:
        _, payout = self.claimed.pop(0)
        self.bank.mood = mood
        answer = self.do(call_bank(self.bank, payout, timedelta(seconds=1)))
        self.answered.append((payout, answer))

    @precondition(lambda self: self.answered)
    @rule(dies=st.booleans())
    def worker_records(self, *, dies: bool) -> None:
        payout, answer = self.answered.pop(0)
        if dies:
            return
        before = self.types["payout.failed.v1"]
        failed = self.do(
            record_answer(
                self.uow, payout_id=PAYOUT, answer=answer, claim=payout.claim, policy=POLICY
            )
        )
        assert failed == (self.types["payout.failed.v1"] > before)

    @rule(mood=MOODS)
    def worker_turn(self, mood: str) -> None:
        self.worker_claims()
        while self.claimed:
            self.worker_calls(mood)
            self.worker_records(dies=False)

    @precondition(lambda self: self.payout and self.payout.status is Status.FAILED)
    @rule()
    def person_retries(self) -> None:
        external_id = f"order:{ORDER}"
        self.do(retry_payout(self.uow, tenant_id="default", external_id=external_id, version=None))
        self.episodes += 1

    @precondition(lambda self: self.payout and self.payout.status is Status.PENDING)
    @rule()
    def person_settles(self) -> None:
        """Having looked at the bank's books first."""
        before = copy(self.payout)
        paid = bool(self.bank.transfers)
        found = PayoutSettlement(
            reference=f"payout-{PAYOUT}" if paid else None, note="seen", by="op"
        )
        external_id = f"order:{ORDER}"
        try:
            self.do(
                settle_payout(
                    self.uow,
                    tenant_id="default",
                    external_id=external_id,
                    version=None,
                    settlement=found,
                )
            )
        except DomainError:
            assert before
            assert before.claim or not before.needs_attention

    @invariant()
    def a_silent_bank_is_published_once_an_episode(self) -> None:
        assert self.types["payout.unanswered.v1"] <= self.episodes

    @invariant()
    def events_are_numbered_without_a_gap(self) -> None:
        numbers = [event.sequence for event in self.uow.published]
        assert numbers == list(range(1, len(numbers) + 1))

    @invariant()
    def the_seller_is_paid_at_most_once(self) -> None:
        assert set(self.bank.keys) <= {f"payout-{PAYOUT}"}
        assert [each.amount_cents for each in self.bank.transfers.values()] in ([], [500])

    @invariant()
    def what_is_published_has_happened(self) -> None:
        assert self.types["payout.completed.v1"] <= len(self.bank.transfers)
        assert self.types["payout.failed.v1"] <= self.episodes
        if self.payout is not None and self.payout.status is Status.PAID:
            assert self.uow.published[-1].type == "payout.completed.v1"

    def teardown(self) -> None:
        while self.answered:
            self.worker_records(dies=False)
        for _ in range(12):
            self.time_passes(31)
            if self.payout is not None and self.payout.status is Status.FAILED:
                self.person_retries()
            self.worker_turn("pay")
        self.runner.close()
        if self.payout is None:
            assert not self.uow.published
            return
        assert self.payout.status is Status.PAID
        assert self.types["payout.completed.v1"] == len(self.bank.transfers) == 1


AnyOrder.TestCase.settings = settings(max_examples=200, stateful_step_count=30, deadline=None)
TestPayoutsInAnyOrder = AnyOrder.TestCase
