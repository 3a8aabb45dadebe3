"""Breaks rules of charges and refunds."""

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch
from uuid import UUID

from libs.kernel.calls import Unanswered
from services.payments.application import call_gateway
from services.payments.application.cancel_payment import cancel_payment
from services.payments.domain.gateway import Declined
from services.payments.domain.payment import Payment
from services.payments.domain.payment import State as PaymentState
from services.payments.infrastructure import consumers as payments
from tests.simulation.mutations.registry import mutation, nothing
from tests.unit.payments.memory import MemoryPayments


@mutation("a cancellation leaves no tombstone in payments")
def no_tombstone_of_payment() -> AbstractContextManager[object]:
    rightly = cancel_payment

    async def forgetful(uow: Any, *, tenant_id: str, order_id: UUID, payment_id: UUID) -> None:
        which: dict[str, Any] = {
            "tenant_id": tenant_id,
            "order_id": order_id,
            "payment_id": payment_id,
        }
        if order_id in uow.payments.rows:
            await rightly(uow, **which)
        else:
            uow.publish(Payment.cancelled_before_it_began(**which).begun())

    return patch.object(payments, "cancel_payment", forgetful)


@mutation("a tombstone is written for another tenant")
def tenant_forgotten() -> AbstractContextManager[object]:
    rightly = cancel_payment

    async def careless(uow: Any, *, tenant_id: str, order_id: UUID, payment_id: UUID) -> None:
        await rightly(uow, tenant_id="default", order_id=order_id, payment_id=payment_id)

    return patch.object(payments, "cancel_payment", careless)


@mutation("a failed sale is not refunded")
def refund_forgotten() -> AbstractContextManager[object]:
    return patch.object(payments, "refund_failed_sale", nothing)


@mutation("a cancellation after the payment is not refunded")
def cancelled_and_kept() -> AbstractContextManager[object]:
    return _cancel_ignored(PaymentState.PROCESSED)


@mutation("a cancellation while the gateway is asked is not remembered")
def cancellation_not_remembered() -> AbstractContextManager[object]:
    return _cancel_ignored(PaymentState.PROCESSING)


@mutation("each try to charge has a key of its own")
def charged_twice() -> AbstractContextManager[object]:
    return _key_of_each_try(PaymentState.PROCESSING)


@mutation("each try to refund has a key of its own")
def refunded_twice() -> AbstractContextManager[object]:
    return _key_of_each_try(PaymentState.REFUNDING)


@mutation("the gateway's silence is taken for a no")
def silence_is_no() -> AbstractContextManager[object]:
    rightly = Payment.charge_answered

    def hasty(self: Payment, answer: Any, claim: Any, policy: Any) -> Any:
        taken = Declined("silent") if isinstance(answer, Unanswered) else answer
        return rightly(self, taken, claim, policy)

    return patch.object(Payment, "charge_answered", hasty)


@mutation("a late no to one card is taken for the answer to the next")
def late_no_counts() -> AbstractContextManager[object]:
    rightly = Payment.charge_answered

    def careless(self: Payment, answer: Any, claim: Any, policy: Any) -> Any:
        taken = self.claim if isinstance(answer, Declined) else claim
        return rightly(self, answer, taken, policy)

    return patch.object(Payment, "charge_answered", careless)


@mutation("what is charged after it was recorded as not charged is kept")
def charged_after_all_and_kept() -> AbstractContextManager[object]:
    return patch.object(Payment, "_reconcile", lambda *_: None)


@mutation("a cancellation after the refund refunds again")
def cancelled_and_refunded_again() -> AbstractContextManager[object]:
    rightly = Payment.cancel

    def careless(self: Payment) -> Any:
        if self.state is PaymentState.REFUNDED:
            self.state = PaymentState.PROCESSED
        return rightly(self)

    return patch.object(Payment, "cancel", careless)


@mutation("a failed sale after the refund refunds again")
def unsold_and_refunded_again() -> AbstractContextManager[object]:
    rightly = Payment.refund_failed_sale

    def careless(self: Payment) -> None:
        if self.state is PaymentState.REFUNDED:
            self.state = PaymentState.PROCESSED
        rightly(self)

    return patch.object(Payment, "refund_failed_sale", careless)


@mutation("a no after the refund makes it fail")
def refunded_and_failed() -> AbstractContextManager[object]:
    rightly = Payment.refund_answered

    def careless(self: Payment, answer: Any, claim: Any, policy: Any) -> Any:
        if self.state is PaymentState.REFUNDED and isinstance(answer, Declined):
            self.state, self.claim = PaymentState.REFUNDING, claim
        return rightly(self, answer, claim, policy)

    return patch.object(Payment, "refund_answered", careless)


@mutation("a code expires whatever became of its payment")
@contextmanager
def expiry_without_check() -> Iterator[object]:
    rightly = Payment.expire

    def careless(self: Payment) -> Any:
        self.state = PaymentState.PENDING
        return rightly(self)

    async def all_overdue(self: MemoryPayments, limit: int) -> list[Payment]:
        late = [row for row in self.rows.values() if row.expires_at and row.expires_at <= self.now]
        return [replace(row) for row in late if row.state is not PaymentState.EXPIRED][:limit]

    with (
        patch.object(Payment, "expire", careless),
        patch.object(MemoryPayments, "lock_overdue", all_overdue),
    ):
        yield None


@mutation("a code is taken though it has expired")
def expired_and_paid() -> AbstractContextManager[object]:
    rightly = Payment.pay

    def lenient(self: Payment, method: str, *, overdue: bool) -> None:
        if self.state is PaymentState.EXPIRED:
            self.state = PaymentState.PENDING
        rightly(self, method, overdue=False)

    return patch.object(Payment, "pay", lenient)


def _cancel_ignored(state: PaymentState) -> AbstractContextManager[object]:
    rightly = Payment.cancel

    def forgetful(self: Payment) -> Any:
        return [] if self.state is state else rightly(self)

    return patch.object(Payment, "cancel", forgetful)


def _key_of_each_try(state: PaymentState) -> AbstractContextManager[object]:
    rightly = call_gateway._ask

    async def forgetful(gateway: Any, payment: Payment) -> Any:
        if payment.state is not state or payment.amount_cents is None:
            return await rightly(gateway, payment)
        what: dict[str, Any] = {"amount_cents": payment.amount_cents}
        key = f"{payment.payment_id}-{payment.attempts}"
        if state is PaymentState.PROCESSING:
            what |= {"order_id": payment.order_id, "method": payment.method or ""}
            return await gateway.charge(f"charge-{key}", **what)
        what |= {"charge_reference": payment.charge_reference or ""}
        return await gateway.refund(f"refund-{key}", **what)

    return patch.object(call_gateway, "_ask", forgetful)
