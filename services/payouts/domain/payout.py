"""A payout moves money to a seller, from the first request to the bank's last answer."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from libs.kernel.calls import Unanswered
from services.payouts.domain import events
from services.payouts.domain.bank import Answer, BankPolicy, Paid, Refused
from services.payouts.domain.errors import (
    PayoutInFlight,
    PayoutNotFailed,
    PayoutNotUnanswered,
    ReservedExternalId,
    StalePayout,
)

AT_ONCE = timedelta(0)
ASKING_FOR_A_PERSON = frozenset({events.PayoutUnanswered, events.PayoutFailed})
NOT_PAID = "not_paid"
OF_AN_ORDER = "order:"
"""The external ids of closed orders begin with this prefix, and no others do."""


def free_external_id(external_id: str) -> str:
    """Return the id unchanged. Raises ReservedExternalId for an id that is kept for orders."""
    if external_id.startswith(OF_AN_ORDER):
        raise ReservedExternalId(OF_AN_ORDER)
    return external_id


class Status(StrEnum):
    PENDING = "PENDING"
    PAID = "PAID"
    FAILED = "FAILED"


@dataclass(kw_only=True)
class Payout:
    """A tenant has one payout for each `external_id`. Methods return the events they cause;
    `sequence` is the number of the last one, `version` counts the writes of clients.
    """

    payout_id: UUID
    tenant_id: str
    external_id: str
    amount_cents: int
    seller_id: UUID | None = None
    """This is None where a client requested the payout and named no seller: the bank knows whose
    `external_id` it is.
    """
    order_id: UUID | None = None
    status: Status = Status.PENDING
    bank_reference: str | None = None
    reason: str | None = None
    """The reason why the bank's last answer was a refusal, or why there was no answer."""
    settled_by: str | None = None
    """The person who recorded the result, or None where the bank said it itself."""
    settlement_note: str | None = None
    needs_attention: bool = False
    """True where the last event asks for a person."""
    attempts: int = 0
    """The number of calls of the bank since the payout was requested or a person retried it."""
    claim: UUID | None = None
    """The id of the claim while a worker calls the bank. It remains when the worker dies."""
    call_in: timedelta | None = AT_ONCE
    """The time from now to the next call of the bank. None keeps the time decided before."""
    version: int = 1
    sequence: int = 0

    @classmethod
    def of_order(
        cls, *, payout_id: UUID, tenant_id: str, order_id: UUID, seller_id: UUID, amount_cents: int
    ) -> "Payout":
        return cls(
            payout_id=payout_id,
            tenant_id=tenant_id,
            external_id=f"{OF_AN_ORDER}{order_id}",
            amount_cents=amount_cents,
            seller_id=seller_id,
            order_id=order_id,
        )

    def answered(
        self, answer: Answer, claim: UUID | None, policy: BankPolicy
    ) -> list[events.PayoutEvent]:
        """Record the bank's answer. Paid always counts, because the money has moved. Any other
        answer counts only under the current claim, because a later call may be running.

        A missing answer never makes the payout fail, because it may have been paid. After several
        of them it needs a person, which is published once, and the bank is still called.
        """
        if self.status is Status.PAID:
            if self.settled_by is not None and isinstance(answer, Paid):
                self.bank_reference = answer.reference
            return []
        if isinstance(answer, Paid):
            self.settled_by = self.settlement_note = None
            return self._paid(answer.reference)
        if claim != self.claim:
            return []
        self.claim, self.reason = None, answer.reason
        self.call_in = policy.delay(self.attempts)
        if isinstance(answer, Unanswered):
            if self.needs_attention or self.attempts < policy.silent_tries:
                return []
            return self._next(events.PayoutUnanswered)
        if not self._given_up(answer, policy):
            return []
        self.status = Status.FAILED
        return self._next(events.PayoutFailed, reason=answer.reason)

    def settle(self, *, reference: str | None, note: str, by: str) -> list[events.PayoutEvent]:
        """Record what a person has found out about an unanswered payout: it was paid under this
        reference or, for None, not paid; then it has failed and may be retried. During a call this
        is refused, because its answer may come at any moment.

        Raises PayoutNotUnanswered, PayoutInFlight.
        """
        if self.status is not Status.PENDING or not self.needs_attention:
            raise PayoutNotUnanswered
        if self.claim:
            raise PayoutInFlight
        self.settled_by, self.settlement_note = by, note
        self.version += 1
        if reference is not None:
            return self._paid(reference)
        self.status, self.reason = Status.FAILED, NOT_PAID
        return self._next(events.PayoutFailed, reason=NOT_PAID)

    def retry(self) -> None:
        """Call the bank again at once, because a person has removed the cause. Raises
        PayoutNotFailed.
        """
        if self.status is not Status.FAILED:
            raise PayoutNotFailed
        self.status, self.reason, self.needs_attention = Status.PENDING, None, False
        self.attempts, self.call_in = 0, AT_ONCE
        self.settled_by = self.settlement_note = None
        self.version += 1

    def check_version(self, expected: int | None) -> None:
        """Raise StalePayout when the caller has seen another version than the current one."""
        if expected is not None and expected != self.version:
            raise StalePayout

    def _given_up(self, answer: Refused, policy: BankPolicy) -> bool:
        return answer.for_good or self.attempts >= policy.tries

    def _paid(self, reference: str) -> list[events.PayoutEvent]:
        self.claim, self.reason = None, None
        self.status, self.bank_reference = Status.PAID, reference
        return self._next(events.PayoutCompleted)

    def _next(self, event: type[events.PayoutEvent], **data: Any) -> list[events.PayoutEvent]:
        self.sequence += 1
        self.needs_attention = event in ASKING_FOR_A_PERSON
        return [
            event(
                tenant_id=self.tenant_id,
                sequence=self.sequence,
                payout_id=self.payout_id,
                external_id=self.external_id,
                order_id=self.order_id,
                seller_id=self.seller_id,
                amount_cents=self.amount_cents,
                **data,
            )
        ]
