"""Reactions, payers, timers, workers and operators in any order, with duplicates and crashes.

However it goes, once everything has been delivered and the gateway answers again, money and events
agree: a charge is kept for a purchase that went through, and given back once for any other.
"""

import asyncio
from collections import Counter
from copy import copy
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import (
    RuleBasedStateMachine,
    initialize,
    invariant,
    precondition,
    rule,
)

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
from services.payments.domain.gateway import Answer, GatewayPolicy
from services.payments.domain.payment import Payment, State
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
RESTING = {
    State.PROCESSED,
    State.FAILED,
    State.EXPIRED,
    State.VOIDED,
    State.REFUNDED,
}


MOODS = st.sampled_from(["approve", "decline", "silent_before", "silent_after"])


class AnyOrder(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.uow = MemoryUnitOfWork()
        self.gateway = MemoryGateway()
        self.claimed: list[tuple[datetime, Payment]] = []
        self.answered: list[tuple[Payment, Answer]] = []
        self.cancelled = self.sale_failed = False
        self.episodes = 1
        self.policy = POLICY

    def do(self, work: Any) -> Any:
        return self.runner.run(work)

    @property
    def now(self) -> datetime:
        return self.uow.payments.now

    @property
    def payment(self) -> Payment | None:
        return self.uow.payments.rows.get(ORDER)

    @property
    def types(self) -> Counter[str]:
        return Counter(event.type for event in self.uow.published)

    @initialize(
        begun=st.sampled_from(["not", "reserved", "paid", "declined", "sold", "refund failed"]),
        card_tries=st.sampled_from(CARD_TRIES),
    )
    def begin(self, begun: str, card_tries: int) -> None:
        """Start half of the runs with a late state, because such states are many steps away."""
        self.policy = replace(POLICY, card_tries=card_tries)
        if begun != "not":
            self.vehicle_reserved(500)
        if begun in ("paid", "declined", "sold", "refund failed"):
            self.pay()
        if begun == "declined":
            self.worker_turn("decline")
        if begun in ("sold", "refund failed"):
            self.worker_turn("approve")
        if begun == "refund failed":
            self.order_cancellation_requested()
            for _ in range(POLICY.refund_tries):
                self.worker_turn("decline")
                self.time_passes(9)

    @rule(amount=st.sampled_from([500, 500, 500, 2_000_000]))
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

    @rule()
    def order_cancellation_requested(self) -> None:
        self.do(
            cancel_payment(self.uow, tenant_id="default", order_id=ORDER, payment_id=UUID(int=99))
        )
        self.cancelled = True

    @precondition(lambda self: self.types["payment.processed.v1"])
    @rule()
    def vehicle_sale_failed(self) -> None:
        self.do(refund_failed_sale(self.uow, order_id=ORDER))
        self.sale_failed = True

    @rule()
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

    @rule()
    def expiry_timer(self) -> None:
        self.do(expire_payment_codes(self.uow, limit=10))

    @rule(seconds=st.sampled_from([1, 9, 31, 61]))
    def time_passes(self, seconds: int) -> None:
        """A worker that has not called when its lease ends died: a call is shorter than that."""
        self.uow.payments.now += timedelta(seconds=seconds)
        live = [(until, payment) for until, payment in self.claimed if until > self.now]
        self.claimed = live

    @rule()
    def worker_claims(self) -> None:
        claimed = self.do(self.uow.payments.claim_calls(4, LEASE))
        self.claimed += [(self.now + LEASE, payment) for payment in claimed]

    @precondition(lambda self: self.claimed)
    @rule(mood=MOODS)
    def worker_calls(self, mood: str) -> None:
        _, payment = self.claimed.pop(0)
        self.gateway.moods = [mood]
        answer = self.do(call_gateway(self.gateway, payment, timedelta(seconds=1)))
        self.answered.append((payment, answer))

    @precondition(lambda self: self.answered)
    @rule(dies=st.booleans())
    def worker_records(self, *, dies: bool) -> None:
        payment, answer = self.answered.pop(0)
        record = record_charge if payment.state is State.PROCESSING else record_refund
        if not dies:
            self.do(
                record(
                    self.uow, order_id=ORDER, answer=answer, claim=payment.claim, policy=self.policy
                )
            )

    @rule(mood=MOODS)
    def worker_turn(self, mood: str) -> None:
        self.worker_claims()
        while self.claimed:
            self.worker_calls(mood)
            self.worker_records(dies=False)

    @precondition(lambda self: self.payment and self.payment.state is State.REFUND_FAILED)
    @rule()
    def person_retries(self) -> None:
        self.do(retry_refund(self.uow, tenant_id="default", payment_id=PAYMENT, version=None))
        self.episodes += 1

    @precondition(lambda self: self.payment and self.payment.state is State.REFUND_FAILED)
    @rule()
    def person_settles(self) -> None:
        """Having looked at the gateway's books first."""
        if self.gateway.approved("refund"):
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
            assert self.payment
            assert self.payment.claim

    @precondition(lambda self: self.payment and self.payment.state is State.PROCESSING)
    @rule()
    def person_settles_charge(self) -> None:
        """Having looked at the gateway's books first."""
        before = copy(self.payment)
        reference = self.gateway.charge_of(PAYMENT)
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
            assert before
            assert before.claim or not before.needs_attention

    @invariant()
    def a_silent_gateway_is_published_once_and_in_time(self) -> None:
        assert self.types["payment.charge_unanswered.v1"] <= 1
        payment = self.payment
        if payment and payment.state is State.PROCESSING and not payment.claim:
            assert payment.needs_attention == (payment.attempts >= POLICY.silent_tries)

    @invariant()
    def a_declined_card_ends_the_payment_at_the_last_try_and_not_before(self) -> None:
        payment = self.payment
        if payment and payment.state in (State.PENDING, State.PROCESSING):
            assert payment.declines < self.policy.card_tries

    @invariant()
    def events_are_numbered_without_a_gap(self) -> None:
        numbers = [event.sequence for event in self.uow.published]
        assert numbers == list(range(1, len(numbers) + 1))

    @invariant()
    def a_purchase_is_charged_at_most_once_and_never_refunded_more(self) -> None:
        assert self.given_back() <= self.gateway.approved("charge") <= 1

    @invariant()
    def a_failing_refund_is_published_once_an_episode(self) -> None:
        assert self.types["payment.refund_failed.v1"] <= self.episodes

    def given_back(self) -> int:
        settled = self.payment is not None and self.payment.settled_by is not None
        return self.gateway.approved("refund") + settled

    def teardown(self) -> None:
        while self.answered:
            self.worker_records(dies=False)
        for _ in range(20):
            self.time_passes(61)
            self.expiry_timer()
            self.worker_claims()
            while self.claimed:
                self.worker_calls("approve")
                self.worker_records(dies=False)
        self.runner.close()
        self.check_the_end()

    def check_the_end(self) -> None:
        payment = self.payment
        if payment is None:
            assert not self.uow.published
            return
        assert payment.state in RESTING
        ends = [event.type for event in self.uow.published if event.type in ENDS]
        kept = payment.state is State.PROCESSED
        assert len(ends) == (0 if kept else 1)
        assert self.given_back() == (0 if kept else self.gateway.approved("charge"))
        assert not (kept and (self.cancelled or self.sale_failed))
        assert self.types["payment.processed.v1"] <= 1


AnyOrder.TestCase.settings = settings(max_examples=300, stateful_step_count=40, deadline=None)
TestPaymentsInAnyOrder = AnyOrder.TestCase
