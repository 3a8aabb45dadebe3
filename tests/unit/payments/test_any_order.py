"""Payments are right after reactions, payers, timers, workers and operators in any order.

Once everything has been delivered and the gateway answers again, also after duplicates and crashes,
a charge is kept for a purchase that went through, and given back once for any other.
"""

import asyncio
from collections import Counter
from copy import copy
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import given, settings
from hypothesis import strategies as st

from libs.kernel.errors import DomainError
from services.payments.application.call_gateway import call_gateway
from services.payments.application.cancel_payment import cancel_payment
from services.payments.application.expire_payment_codes import expire_payment_codes
from services.payments.application.generate_payment_code import generate_payment_code
from services.payments.application.pay_code import pay_code
from services.payments.application.record_charge import record_charge
from services.payments.application.record_refund import record_refund
from services.payments.application.refund_failed_sale import refund_failed_sale
from services.payments.application.retry_refund import retry_refund
from services.payments.application.settle_charge import ChargeSettlement, settle_charge
from services.payments.application.settle_refund import Settlement, settle_refund
from services.payments.domain.code import code_from
from services.payments.domain.gateway import Answer, Approved, GatewayPolicy
from services.payments.domain.payment import AWAITING_REFUND, Payment, State
from tests.unit.payments.memory import TERMS, MemoryGateway, MemoryUnitOfWork

ORDER, PAYMENT, CUSTOMER = UUID(int=1), UUID(int=2), UUID(int=3)
LEASE = timedelta(seconds=30)
POLICY = GatewayPolicy(timedelta(seconds=1), timedelta(seconds=8), refund_tries=2, silent_tries=2)
CARD_TRIES = (1, 3)
ENDS = {
    "payment.code_generation_failed.v1",
    "payment.failed.v1",
    "payment.expired.v1",
    "payment.voided.v1",
    "payment.refunded.v1",
}
UNPAID = {State.PENDING, State.EXPIRED, State.VOIDED, State.FAILED}
AT_THE_GATEWAY = {State.PROCESSING, State.REFUNDING, State.REFUND_FAILED}
RESTING = {
    State.PROCESSED,
    State.FAILED,
    State.EXPIRED,
    State.VOIDED,
    State.REFUNDED,
}


Move = tuple[Any, ...]
"""A method of Run and its arguments."""
PAID: list[Move] = [("vehicle_reserved", 500), ("pay",)]
SOLD: list[Move] = [*PAID, ("worker_turn", "approve")]
CANCELLED: list[Move] = [*SOLD, ("order_cancellation_requested",)]
UNANSWERED: list[Move] = [*PAID, *[("worker_turn", "silent_before"), ("time_passes", 9)] * 2]
REFUND_FAILED: list[Move] = [
    *CANCELLED,
    *[("worker_turn", "decline"), ("time_passes", 9)] * POLICY.refund_tries,
]


def on_its_way(mood: str) -> list[Move]:
    """Let a worker call and its lease end, before its answer is recorded."""
    return [("worker_claims",), ("worker_calls", mood), ("time_passes", 31)]


BEGUN: dict[str, list[Move]] = {
    "not": [],
    "reserved": PAID[:1],
    "paid": PAID,
    "cancelled after the payment": [*PAID, ("order_cancellation_requested",)],
    "declined": [*PAID, ("worker_turn", "decline")],
    "another card, a call under way, an answer about the first on its way": [
        *PAID,
        *on_its_way("decline"),
        ("worker_turn", "decline"),
        ("pay",),
        ("worker_claims",),
    ],
    "unanswered": UNANSWERED,
    "unanswered, a call under way": [*UNANSWERED, ("worker_claims",)],
    "unanswered, one answer on its way": [
        *PAID,
        *on_its_way("approve"),
        ("worker_turn", "silent_before"),
    ],
    "sold": SOLD,
    "refund declined, the answer on its way": [*CANCELLED, *on_its_way("decline")],
    "refund failed": REFUND_FAILED,
    "refund failed, a call under way": [*REFUND_FAILED, ("worker_claims",)],
    "refund failed, one answer on its way": [*REFUND_FAILED, *on_its_way("decline")],
}
MOODS = ("approve", "decline", "silent_before", "silent_after")
MOVES: list[Move] = [
    *[("time_passes", seconds) for seconds in (1, 9, 31, 61)],
    *[("vehicle_reserved", cents) for cents in (500, TERMS.gateway_limit_cents + 1)],
    ("order_cancellation_requested",),
    ("vehicle_sale_failed",),
    ("pay",),
    ("expiry_timer",),
    ("worker_claims",),
    *[("worker_calls", mood) for mood in MOODS],
    *[("worker_records", which) for which in (0, -1)],
    *[("worker_dies", which) for which in (0, -1)],
    *[("worker_turn", mood) for mood in MOODS],
    ("person_retries",),
    ("person_settles_refund",),
    *[("person_settles_charge", errs) for errs in (False, True)],
]


@settings(max_examples=1500, deadline=None)
@given(
    st.sampled_from(list(BEGUN)),
    st.sampled_from(CARD_TRIES),
    st.lists(st.sampled_from(MOVES), min_size=10, max_size=20),
)
def test_money_and_events_agree_after_any_order(
    begun: str, card_tries: int, moves: list[Move]
) -> None:
    """A run begins with a late state, because such states are many moves away."""
    with asyncio.Runner() as runner:
        run = Run(runner, card_tries)
        for name, *arguments in [*BEGUN[begun], *moves]:
            getattr(run, name)(*arguments)
            run.check_now()
        run.deliver_everything()
    run.check_the_end()


class Run:
    """A `Run` is one purchase's payment. A move that is impossible in a state does nothing."""

    def __init__(self, runner: asyncio.Runner, card_tries: int) -> None:
        self.do = runner.run
        self.policy = replace(POLICY, card_tries=card_tries)
        self.uow = MemoryUnitOfWork()
        self.gateway = MemoryGateway()
        self.claimed: list[tuple[datetime, Payment]] = []
        self.answered: list[tuple[Payment, Answer]] = []
        self.unrecorded: set[UUID | None] = set()
        """Claims whose call has no record: it is under way, or its worker has died."""
        self.calls: Counter[tuple[bool, int, int]] = Counter()
        """How many calls were made for each card and each episode of the refund."""
        self.cancelled = self.sale_failed = self.erred = False
        self.episodes = 1

    @property
    def now(self) -> datetime:
        return self.uow.payments.now

    @property
    def payment(self) -> Payment | None:
        return self.uow.payments.rows.get(ORDER)

    @property
    def types(self) -> Counter[str]:
        return Counter(event.type for event in self.uow.published)

    def called_for(self, payment: Payment) -> tuple[bool, int, int]:
        """Return the card, or the episode of the refund, that a call of this payment is for."""
        return payment.state is State.PROCESSING, payment.declines, self.episodes

    def vehicle_reserved(self, amount: int) -> None:
        self.do(
            generate_payment_code(
                self.uow,
                tenant_id="default",
                order_id=ORDER,
                customer_id=CUSTOMER,
                amount_cents=amount,
                payment_id=PAYMENT,
                code_number=7,
                terms=TERMS,
            )
        )

    def order_cancellation_requested(self) -> None:
        self.do(
            cancel_payment(self.uow, tenant_id="default", order_id=ORDER, payment_id=UUID(int=99))
        )
        self.cancelled = True

    def vehicle_sale_failed(self) -> None:
        if not self.types["payment.processed.v1"]:
            return
        self.do(refund_failed_sale(self.uow, order_id=ORDER))
        self.sale_failed = True

    def pay(self) -> None:
        before = copy(self.payment)
        paying = pay_code(
            self.uow, tenant_id="default", code=code_from(7), method="tok", may_see=lambda _: True
        )
        try:
            self.do(paying)
        except DomainError:
            assert before is None or before.state in UNPAID
        else:
            assert before is not None
            assert before.expires_at is not None
            assert before.state not in {State.EXPIRED, State.VOIDED}
            assert before.state is not State.PENDING or before.expires_at > self.now

    def expiry_timer(self) -> None:
        self.do(expire_payment_codes(self.uow, limit=10))

    def time_passes(self, seconds: int) -> None:
        """Move time. A worker that has not called when its lease ends has died."""
        self.uow.payments.now += timedelta(seconds=seconds)
        live = [(until, payment) for until, payment in self.claimed if until > self.now]
        self.claimed = live

    def worker_claims(self) -> None:
        claimed = self.do(self.uow.payments.claim_calls(4, LEASE))
        calling = {self.called_for(payment) for _, payment in self.claimed}
        assert calling.isdisjoint(map(self.called_for, claimed)), "Two make one call at once."
        self.claimed += [(self.now + LEASE, payment) for payment in claimed]
        self.unrecorded |= {payment.claim for payment in claimed}
        self.calls.update(map(self.called_for, claimed))

    def worker_calls(self, mood: str) -> None:
        if not self.claimed:
            return
        _, payment = self.claimed.pop(0)
        self.gateway.moods = [mood]
        answer = self.do(call_gateway(self.gateway, payment, timedelta(seconds=1)))
        self.answered.append((payment, answer))

    def worker_records(self, which: int) -> None:
        """Record the oldest (0) or the latest (-1) answer."""
        if not self.answered:
            return
        payment, answer = self.answered.pop(which)
        self.unrecorded.discard(payment.claim)
        record = record_charge if payment.state is State.PROCESSING else record_refund
        self.do(
            record(self.uow, order_id=ORDER, answer=answer, claim=payment.claim, policy=self.policy)
        )

    def worker_dies(self, which: int) -> None:
        """Lose an answer, but not the one that corrects a person's error."""
        if self.answered and not self.erred:
            self.answered.pop(which)

    def worker_turn(self, mood: str) -> None:
        self.worker_claims()
        while self.claimed:
            self.worker_calls(mood)
            self.worker_records(-1)

    def person_retries(self) -> None:
        if self.payment is None or self.payment.state is not State.REFUND_FAILED:
            return
        self.do(retry_refund(self.uow, tenant_id="default", payment_id=PAYMENT, version=None))
        self.episodes += 1
        assert self.payment
        if self.payment.claim:
            self.calls[self.called_for(self.payment)] = 1

    def person_settles_refund(self) -> None:
        """Settle as a person who has looked at the gateway's books first."""
        before = copy(self.payment)
        failed = before is not None and before.state is State.REFUND_FAILED
        if before is None or not failed or self.gateway.approved("refund"):
            return
        settlement = Settlement(reference="bank-1", note="by transfer", by="op")
        try:
            self.do(
                settle_refund(
                    self.uow,
                    tenant_id="default",
                    payment_id=PAYMENT,
                    version=None,
                    settlement=settlement,
                )
            )
        except DomainError:
            assert before.claim
        else:
            assert not before.claim

    def person_settles_charge(self, errs: bool) -> None:
        """Settle as a person who has looked at the gateway's books first. A person may err while an
        answer of the gateway is on its way, which corrects the error.
        """
        before = copy(self.payment)
        if before is None or before.state is not State.PROCESSING:
            return
        approved = any(isinstance(answer, Approved) for _, answer in self.answered)
        errs = errs and approved
        reference = None if errs else self.gateway.charge_of(PAYMENT)
        settlement = ChargeSettlement(reference=reference, note="seen", by="op")
        try:
            self.do(
                settle_charge(
                    self.uow,
                    tenant_id="default",
                    payment_id=PAYMENT,
                    version=None,
                    settlement=settlement,
                )
            )
        except DomainError:
            assert before.claim or not before.needs_attention
        else:
            assert before.needs_attention
            assert not before.claim
            self.erred = errs

    def check_now(self) -> None:
        self.a_silent_gateway_is_published_once_and_in_time()
        self.a_declined_card_ends_the_payment_at_the_last_try_and_not_before()
        self.a_code_is_not_paid_again_once_something_waits_for_its_end()
        self.a_claim_stands_for_a_call_without_a_record()
        self.attempts_are_the_calls_for_this_card_or_episode()
        self.a_refund_asks_for_a_person_only_when_it_has_failed()
        self.events_are_numbered_without_a_gap()
        self.a_purchase_is_charged_at_most_once_and_never_refunded_more()
        self.a_failing_refund_is_published_once_an_episode()

    def a_silent_gateway_is_published_once_and_in_time(self) -> None:
        assert self.types["payment.charge_unanswered.v1"] <= 1
        payment = self.payment
        if payment and payment.state is State.PROCESSING and not payment.claim:
            assert payment.needs_attention == (payment.attempts >= POLICY.silent_tries)

    def a_declined_card_ends_the_payment_at_the_last_try_and_not_before(self) -> None:
        payment = self.payment
        if payment and payment.state in (State.PENDING, State.PROCESSING):
            assert payment.declines < self.policy.card_tries

    def a_code_is_not_paid_again_once_something_waits_for_its_end(self) -> None:
        if self.payment and self.payment.state is State.PENDING:
            assert not self.cancelled
            assert not self.types["payment.charge_unanswered.v1"]

    def a_claim_stands_for_a_call_without_a_record(self) -> None:
        if self.payment and self.payment.claim:
            assert self.payment.claim in self.unrecorded

    def attempts_are_the_calls_for_this_card_or_episode(self) -> None:
        payment = self.payment
        if payment and payment.state in AT_THE_GATEWAY:
            assert payment.attempts == self.calls[self.called_for(payment)]

    def a_refund_asks_for_a_person_only_when_it_has_failed(self) -> None:
        payment = self.payment
        if payment and payment.state in AWAITING_REFUND:
            assert payment.needs_attention == (payment.state is State.REFUND_FAILED)

    def events_are_numbered_without_a_gap(self) -> None:
        numbers = [event.sequence for event in self.uow.published]
        assert numbers == list(range(1, len(numbers) + 1))

    def a_purchase_is_charged_at_most_once_and_never_refunded_more(self) -> None:
        assert self.given_back() <= self.gateway.approved("charge") <= 1

    def a_failing_refund_is_published_once_an_episode(self) -> None:
        assert self.types["payment.refund_failed.v1"] <= self.episodes

    def given_back(self) -> int:
        settled = self.payment is not None and self.payment.settled_by is not None
        return self.gateway.approved("refund") + settled

    def deliver_everything(self) -> None:
        while self.answered:
            self.worker_records(0)
        for _ in range(20):
            self.time_passes(61)
            self.expiry_timer()
            self.worker_turn("approve")

    def check_the_end(self) -> None:
        payment = self.payment
        if payment is None:
            assert not self.uow.published
            return
        assert payment.state in RESTING
        ends = [event.type for event in self.uow.published if event.type in ENDS]
        kept = payment.state is State.PROCESSED
        assert len(ends) == (0 if kept else 1 + self.erred)
        assert self.given_back() == (0 if kept else self.gateway.approved("charge"))
        assert not (kept and (self.cancelled or self.sale_failed))
        assert self.types["payment.processed.v1"] <= 1
