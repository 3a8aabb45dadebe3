"""The seller is paid once after closed orders consumed again, workers and persons in any order,
with crashes and lost answers.

Once everything has been delivered and the bank answers again, what was published agrees with it.
"""

import asyncio
from collections import Counter
from copy import copy
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.kernel.errors import DomainError
from services.payouts.application.call_bank import call_bank
from services.payouts.application.pay_seller import pay_seller
from services.payouts.application.record_answer import record_answer
from services.payouts.application.retry_payout import retry_payout
from services.payouts.application.settle_payout import PayoutSettlement, settle_payout
from services.payouts.domain.bank import Answer, BankPolicy, Paid, Refused
from services.payouts.domain.payout import Payout, Status
from tests.unit.payouts.memory import MemoryBank, MemoryUnitOfWork

ORDER, PAYOUT, SELLER = UUID(int=1), UUID(int=2), UUID(int=3)
LEASE = timedelta(seconds=30)
POLICY = BankPolicy(timedelta(seconds=1), timedelta(seconds=8), tries=2, silent_tries=2)
Move = tuple[Any, ...]
"""A method of Run and its arguments."""
CLOSED: list[Move] = [("order_closed",)]
UNANSWERED: list[Move] = [*CLOSED, *[("worker_turn", "silent before"), ("time_passes", 9)] * 2]


def on_its_way(mood: str) -> list[Move]:
    """Let a worker call and its lease end, before its answer is recorded."""
    return [("worker_claims",), ("worker_calls", mood), ("time_passes", 31)]


BEGUN: dict[str, list[Move]] = {
    "not": [],
    "closed": CLOSED,
    "refused, the answer on its way": [*CLOSED, *on_its_way("refuse for good")],
    "failed": [*CLOSED, ("worker_turn", "refuse for good")],
    "unanswered": UNANSWERED,
    "unanswered, a call under way": [*UNANSWERED, ("worker_claims",)],
    "unanswered, one answer on its way": [
        *CLOSED,
        *on_its_way("pay"),
        ("worker_turn", "silent before"),
    ],
}
MOODS = ("pay", "refuse", "refuse for good", "silent before", "silent after")
MOVES: list[Move] = [
    *[("time_passes", seconds) for seconds in (1, 9, 31)],
    ("order_closed",),
    ("worker_claims",),
    *[("worker_calls", mood) for mood in MOODS],
    *[("worker_records", which) for which in (0, -1)],
    *[("worker_dies", which) for which in (0, -1)],
    *[("worker_turn", mood) for mood in MOODS],
    ("person_retries",),
    *[("person_settles", errs) for errs in (False, True)],
]


@settings(max_examples=1000, deadline=None)
@given(
    st.sampled_from(list(BEGUN)),
    st.lists(st.sampled_from(MOVES), min_size=10, max_size=20),
)
def test_the_seller_is_paid_once_after_any_order(begun: str, moves: list[Move]) -> None:
    """A run begins with a late state, because such states are many moves away."""
    with asyncio.Runner() as runner:
        run = Run(runner)
        for name, *arguments in [*BEGUN[begun], *moves]:
            getattr(run, name)(*arguments)
            run.check_now()
        run.deliver_everything()
    run.check_the_end()


class Run:
    """A `Run` is one closed order's payout. A move that is impossible in a state does nothing."""

    def __init__(self, runner: asyncio.Runner) -> None:
        self.do = runner.run
        self.uow = MemoryUnitOfWork()
        self.bank = MemoryBank()
        self.claimed: list[tuple[datetime, Payout]] = []
        self.answered: list[tuple[Payout, Answer]] = []
        self.unrecorded: set[UUID | None] = set()
        """Claims whose call has no record: it is under way, or its worker has died."""
        self.calls: Counter[int] = Counter()
        """How many calls each episode has had."""
        self.episodes = 1
        self.by_hand = False
        """Whether a person recorded the result, and the bank has said no other."""

    @property
    def payout(self) -> Payout | None:
        return self.uow.payouts.rows.get(PAYOUT)

    @property
    def types(self) -> Counter[str]:
        return Counter(event.type for event in self.uow.published)

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

    def time_passes(self, seconds: int) -> None:
        """Move time. A worker that has not called when its lease ends has died."""
        self.uow.payouts.now += timedelta(seconds=seconds)
        now = self.uow.payouts.now
        self.claimed = [(until, payout) for until, payout in self.claimed if until > now]

    def worker_claims(self) -> None:
        claimed = self.do(self.uow.payouts.claim_calls(4, LEASE))
        assert not (claimed and self.claimed), "Two workers call the bank at the same time."
        self.claimed += [(self.uow.payouts.now + LEASE, payout) for payout in claimed]
        self.unrecorded |= {payout.claim for payout in claimed}
        self.calls[self.episodes] += len(claimed)

    def worker_calls(self, mood: str) -> None:
        if not self.claimed:
            return
        _, payout = self.claimed.pop(0)
        self.bank.mood = mood
        answer = self.do(call_bank(self.bank, payout, timedelta(seconds=1)))
        self.answered.append((payout, answer))

    def worker_records(self, which: int) -> None:
        """Record the oldest (0) or the latest (-1) answer."""
        if not self.answered:
            return
        payout, answer = self.answered.pop(which)
        self.unrecorded.discard(payout.claim)
        current = self.payout is not None and self.payout.claim == payout.claim
        last = self.calls[self.episodes] >= POLICY.tries
        before = self.types["payout.failed.v1"]
        status = self.payout and self.payout.status
        failed = self.do(
            record_answer(
                self.uow, payout_id=PAYOUT, answer=answer, claim=payout.claim, policy=POLICY
            )
        )
        assert failed == (self.types["payout.failed.v1"] > before)
        match answer:
            case Refused(for_good=for_good):
                assert failed == (current and (for_good or last))
            case Paid():
                self.by_hand = self.by_hand and status is Status.PAID
                assert self.payout
                assert self.payout.status is Status.PAID
            case _:
                assert not failed

    def worker_dies(self, which: int) -> None:
        if self.answered:
            self.answered.pop(which)

    def worker_turn(self, mood: str) -> None:
        self.worker_claims()
        while self.claimed:
            self.worker_calls(mood)
            self.worker_records(-1)

    def person_retries(self) -> None:
        if self.payout is None or self.payout.status is not Status.FAILED:
            return
        external_id = f"order:{ORDER}"
        self.do(retry_payout(self.uow, tenant_id="default", external_id=external_id, version=None))
        self.episodes += 1
        self.by_hand = False

    def person_settles(self, errs: bool) -> None:
        """Settle as a person who has looked at the bank's books first, or takes another payout for
        this one. A retry of the payout corrects that error, because the bank knows the key.
        """
        before = copy(self.payout)
        if before is None or before.status is not Status.PENDING:
            return
        found = PayoutSettlement(
            reference=f"payout-{PAYOUT}" if self.bank.transfers and not errs else None,
            note="seen",
            by="op",
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
            assert before.claim or not before.needs_attention
        else:
            assert before.needs_attention
            assert not before.claim
            self.by_hand = True

    def check_now(self) -> None:
        self.a_silent_bank_is_published_once_an_episode()
        self.events_are_numbered_without_a_gap()
        self.the_seller_is_paid_at_most_once()
        self.what_is_published_has_happened()
        self.a_claim_stands_for_a_call_without_a_record()
        self.attempts_are_the_calls_of_this_episode()
        self.a_silent_bank_asks_for_a_person_in_time()
        self.who_recorded_the_result_is_kept_while_it_stands()

    def who_recorded_the_result_is_kept_while_it_stands(self) -> None:
        if self.payout:
            assert self.payout.settled_by == ("op" if self.by_hand else None)

    def a_silent_bank_is_published_once_an_episode(self) -> None:
        assert self.types["payout.unanswered.v1"] <= self.episodes

    def events_are_numbered_without_a_gap(self) -> None:
        numbers = [event.sequence for event in self.uow.published]
        assert numbers == list(range(1, len(numbers) + 1))

    def the_seller_is_paid_at_most_once(self) -> None:
        assert set(self.bank.keys) <= {f"payout-{PAYOUT}"}
        assert [each.amount_cents for each in self.bank.transfers.values()] in ([], [500])

    def what_is_published_has_happened(self) -> None:
        assert self.types["payout.completed.v1"] <= len(self.bank.transfers)
        assert self.types["payout.failed.v1"] <= self.episodes
        if self.payout is not None and self.payout.status is Status.PAID:
            assert self.uow.published[-1].type == "payout.completed.v1"

    def a_claim_stands_for_a_call_without_a_record(self) -> None:
        if self.payout and self.payout.claim:
            assert self.payout.claim in self.unrecorded

    def attempts_are_the_calls_of_this_episode(self) -> None:
        if self.payout and self.payout.status is Status.PENDING:
            assert self.payout.attempts == self.calls[self.episodes]

    def a_silent_bank_asks_for_a_person_in_time(self) -> None:
        payout = self.payout
        if payout and payout.status is Status.PENDING and not payout.claim:
            assert payout.needs_attention <= (payout.attempts >= POLICY.silent_tries)

    def deliver_everything(self) -> None:
        while self.answered:
            self.worker_records(0)
        for _ in range(12):
            self.time_passes(31)
            self.person_retries()
            self.worker_turn("pay")

    def check_the_end(self) -> None:
        if self.payout is None:
            assert not self.uow.published
            return
        assert self.payout.status is Status.PAID
        assert self.types["payout.completed.v1"] == len(self.bank.transfers) == 1
