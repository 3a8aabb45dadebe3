"""A payment covers the code, the charge and the refund of one purchase."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from libs.kernel.calls import Unanswered
from services.payments.domain import events
from services.payments.domain.errors import (
    ChargeInFlight,
    ChargeNotUnanswered,
    PaymentCodeExpired,
    PaymentCodeVoided,
    RefundInFlight,
    RefundNotFailed,
    StalePayment,
)
from services.payments.domain.gateway import Answer, Approved, Declined, GatewayPolicy

AT_ONCE = timedelta(0)


class State(StrEnum):
    PENDING = "PENDING"
    PROCESSING = "PROCESSING"
    PROCESSED = "PROCESSED"
    FAILED = "FAILED"
    EXPIRED = "EXPIRED"
    VOIDED = "VOIDED"
    REFUNDING = "REFUNDING"
    REFUND_FAILED = "REFUND_FAILED"
    REFUNDED = "REFUNDED"


AWAITING_REFUND = frozenset({State.REFUNDING, State.REFUND_FAILED})
AWAITING_GATEWAY = AWAITING_REFUND | {State.PROCESSING}
ASKING_FOR_A_PERSON = frozenset({events.PaymentChargeUnanswered, events.PaymentRefundFailed})
NOT_CHARGED = "not_charged"
CHARGED_AFTER_ALL = "charged_after_all"
"""A refund has this reason if the gateway made a charge that a person recorded as not made."""


@dataclass(kw_only=True)
class Payment:
    """A purchase has one payment. Methods return the events they cause; `sequence` is the number of
    the last one, `version` counts the writes of clients. Amount, code and customer are None on a
    tombstone.
    """

    order_id: UUID
    tenant_id: str
    payment_id: UUID
    state: State
    customer_id: UUID | None = None
    amount_cents: int | None = None
    code: str | None = None
    expires_at: datetime | None = None
    """The database sets this time when the payment is added, because only its clock decides."""
    method: str | None = None
    """The gateway's token for the card, never a card number."""
    cancellation_requested: bool = False
    charge_reference: str | None = None
    charge_settled_by: str | None = None
    """The person who recorded whether the gateway has charged, or None if it answered itself."""
    charge_settlement_note: str | None = None
    refund_reference: str | None = None
    settled_by: str | None = None
    settlement_note: str | None = None
    reason: str | None = None
    """The reason why the payment failed, the last card was declined, or the money goes back."""
    declines: int = 0
    """The number of cards that the gateway has declined."""
    refund_error: str | None = None
    """The reason why the last attempt to refund failed."""
    needs_attention: bool = False
    """True where the last event asks for a person, who can still do what it asks for."""
    attempts: int = 0
    """The number of calls for the charge, or since the refund was begun or retried."""
    claim: UUID | None = None
    """The id of the claim while a worker calls the gateway. It remains when the worker dies."""
    call_in: timedelta | None = None
    """The time from now to the next call of the gateway. None keeps the time decided before."""
    version: int = 1
    sequence: int = 1

    @classmethod
    def cancelled_before_it_began(
        cls, *, order_id: UUID, tenant_id: str, payment_id: UUID
    ) -> "Payment":
        """Return a tombstone. Whatever would begin this payment later finds it and does nothing."""
        return cls(
            order_id=order_id, tenant_id=tenant_id, payment_id=payment_id, state=State.VOIDED
        )

    def begun(self) -> events.PaymentEvent:
        """Return the event that the new record publishes, with sequence number 1."""
        if self.state is State.VOIDED:
            return self._event(events.PaymentVoided)
        if self.state is State.FAILED:
            return self._event(events.PaymentCodeGenerationFailed, reason=self.reason)
        return self._event(events.PaymentCodeGenerated, code=self.code, expires_at=self.expires_at)

    def pay(self, method: str, *, overdue: bool) -> None:
        """Accept the code, also once more after a declined card while a try is left. A code that is
        paid already does not change. Raises PaymentCodeExpired, PaymentCodeVoided.
        """
        if self.state is State.EXPIRED or (self.state is State.PENDING and overdue):
            raise PaymentCodeExpired
        if self.state is State.VOIDED:
            raise PaymentCodeVoided
        if self.state is State.PENDING:
            self.state = State.PROCESSING
            self.method = method
            self.call_in = AT_ONCE
            self.version += 1

    def expire(self) -> list[events.PaymentEvent]:
        if self.state is not State.PENDING:
            return []
        self.state = State.EXPIRED
        return self._next(events.PaymentExpired)

    def cancel(self) -> list[events.PaymentEvent]:
        """Void the code of a cancelled purchase, or make sure that its money goes back."""
        if self.state is State.PENDING:
            self.state = State.VOIDED
            return self._next(events.PaymentVoided)
        if self.state is State.PROCESSING:
            self.cancellation_requested = True
        elif self.state is State.PROCESSED:
            self._begin_refund("cancelled")
        return []

    def refund_failed_sale(self) -> None:
        if self.state is State.PROCESSED:
            self._begin_refund("sale_failed")

    def charge_answered(
        self, answer: Answer, claim: UUID | None, policy: GatewayPolicy
    ) -> list[events.PaymentEvent]:
        """Record the first answer; later ones change nothing. A declined or unanswered call counts
        only under the current claim, because a late answer may be about a card tried before. A
        charge approved after the purchase was cancelled is refunded and never published as
        processed, so that no vehicle is sold for it.
        """
        if self.state is not State.PROCESSING:
            self._reconcile(answer)
            return []
        match answer:
            case Approved(reference):
                return self._charged(reference)
            case _ if claim != self.claim:
                return []
            case Unanswered():
                return self._stayed_silent(policy)
            case Declined(reason):
                return self._declined(reason, policy)

    def settle_charge(
        self, *, reference: str | None, note: str, by: str
    ) -> list[events.PaymentEvent]:
        """Record what a person has found out at the gateway: the charge was made under this
        reference or, for None, not made. The purchase goes on as if the gateway had answered.
        During a call this is refused, because its answer may come at any moment.

        Raises ChargeNotUnanswered, ChargeInFlight.
        """
        if self.state is not State.PROCESSING or not self.needs_attention:
            raise ChargeNotUnanswered
        if self.claim:
            raise ChargeInFlight
        self.charge_settled_by, self.charge_settlement_note = by, note
        self.version += 1
        return self._failed(NOT_CHARGED) if reference is None else self._charged(reference)

    def refund_answered(
        self, answer: Answer, claim: UUID | None, policy: GatewayPolicy
    ) -> list[events.PaymentEvent]:
        """Record the result of a refund. One that fails is tried without end. The failure is
        published once, and again after each retry by a person. A failure counts only under the
        current claim, because a later call may be running.
        """
        if self.state not in AWAITING_REFUND:
            return []
        if isinstance(answer, Approved):
            return self._refunded(answer.reference)
        if claim != self.claim:
            return []
        self.claim, self.refund_error = None, answer.reason
        self.call_in = policy.delay(self.attempts)
        if self.state is State.REFUND_FAILED or self.attempts < policy.refund_tries:
            return []
        self.state = State.REFUND_FAILED
        return self._next(events.PaymentRefundFailed, reason=answer.reason)

    def retry_refund(self) -> None:
        """Refund again at once. Attempts count anew; a call that is still running is the first.
        Raises RefundNotFailed.
        """
        if self.state is not State.REFUND_FAILED:
            raise RefundNotFailed
        self.state, self.needs_attention = State.REFUNDING, False
        self.attempts = 1 if self.claim else 0
        self.call_in = None if self.claim else AT_ONCE
        self.version += 1

    def settle_refund(self, *, reference: str, note: str, by: str) -> list[events.PaymentEvent]:
        """Record that a person paid the money back outside the gateway. During a call this is
        refused: the gateway might still succeed, and the money would go back twice.

        Raises RefundNotFailed, RefundInFlight.
        """
        if self.state is not State.REFUND_FAILED:
            raise RefundNotFailed
        if self.claim:
            raise RefundInFlight
        self.settled_by, self.settlement_note = by, note
        self.version += 1
        return self._refunded(reference)

    def check_version(self, expected: int | None) -> None:
        if expected is not None and expected != self.version:
            raise StalePayment

    def _reconcile(self, answer: Answer) -> None:
        """Compare the gateway's answer with the charge that a person has settled before. Money
        taken for a charge recorded as not made goes back; otherwise the gateway's reference
        replaces the person's.
        """
        if self.charge_settled_by is None or not isinstance(answer, Approved):
            return
        self.charge_reference = answer.reference
        if self.state is State.FAILED:
            self._begin_refund(CHARGED_AFTER_ALL)

    def _stayed_silent(self, policy: GatewayPolicy) -> list[events.PaymentEvent]:
        """Publish the silence once. The gateway is called again without end."""
        self.claim, self.call_in = None, policy.delay(self.attempts)
        if self.needs_attention or self.attempts < policy.silent_tries:
            return []
        return self._next(events.PaymentChargeUnanswered)

    def _declined(self, reason: str, policy: GatewayPolicy) -> list[events.PaymentEvent]:
        """Allow another card while a try is left, and publish nothing. There is no other try for a
        charge that a person was asked about, or whose purchase was cancelled, because something
        waits for its end.
        """
        self.declines += 1
        awaited = self.needs_attention or self.cancellation_requested
        if self.declines >= policy.card_tries or awaited:
            return self._failed(reason)
        self.claim, self.state, self.reason, self.attempts = None, State.PENDING, reason, 0
        return []

    def _failed(self, reason: str) -> list[events.PaymentEvent]:
        self.claim, self.state, self.reason = None, State.FAILED, reason
        return self._next(events.PaymentFailed, reason=reason)

    def _charged(self, reference: str) -> list[events.PaymentEvent]:
        self.claim, self.charge_reference = None, reference
        if self.cancellation_requested:
            self._begin_refund("cancelled")
            return []
        self.state = State.PROCESSED
        return self._next(events.PaymentProcessed)

    def _begin_refund(self, reason: str) -> None:
        self.state, self.reason = State.REFUNDING, reason
        self.attempts, self.needs_attention = 0, False
        self.call_in = AT_ONCE

    def _refunded(self, reference: str) -> list[events.PaymentEvent]:
        self.claim, self.state, self.refund_reference = None, State.REFUNDED, reference
        return self._next(events.PaymentRefunded)

    def _next(self, event: type[events.PaymentEvent], **data: Any) -> list[events.PaymentEvent]:
        self.sequence += 1
        self.needs_attention = event in ASKING_FOR_A_PERSON
        return [self._event(event, **data)]

    def _event(self, event: type[events.PaymentEvent], **data: Any) -> events.PaymentEvent:
        data |= {"payment_id": self.payment_id, "amount_cents": self.amount_cents}
        return event(
            tenant_id=self.tenant_id, sequence=self.sequence, order_id=self.order_id, **data
        )
