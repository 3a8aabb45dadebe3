"""A payout: money on its way to a seller, from the first request to the bank's last answer."""

from dataclasses import dataclass
from datetime import timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from services.payouts.domain import events
from services.payouts.domain.bank import Answer, Paid, Refused, RetryPolicy, Unanswered
from services.payouts.domain.errors import PayoutNotFailed, StalePayout

AT_ONCE = timedelta(0)
OF_AN_ORDER = "order:"
"""What the external ids of closed orders begin with, and no other's."""


class Status(StrEnum):
    PENDING = "PENDING"
    PAID = "PAID"
    FAILED = "FAILED"


@dataclass(kw_only=True)
class Payout:
    """One for each `external_id` of a tenant. Methods return the events they cause; `sequence` is
    the number of the last one, `version` counts what clients wrote.
    """

    payout_id: UUID
    tenant_id: str
    external_id: str
    amount_cents: int
    seller_id: UUID | None = None
    """None where a client asked for it and named nobody: the bank knows whose `external_id` is."""
    order_id: UUID | None = None
    status: Status = Status.PENDING
    bank_reference: str | None = None
    reason: str | None = None
    """Why the bank's last answer was no, or why there was none."""
    attempts: int = 0
    """Calls of the bank in this episode; a retry by a person begins another."""
    claim: UUID | None = None
    """Set while a worker asks the bank, or when it died while it did."""
    call_in: timedelta | None = AT_ONCE
    """When the bank is called next, from now. None leaves what was decided before."""
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
        self, answer: Answer, claim: UUID | None, policy: RetryPolicy
    ) -> list[events.PayoutEvent]:
        """Paid counts whenever it is heard: the money has moved. Anything else counts only to the
        claim that stands, for a later call may be under way.

        No answer never makes it fail: nobody may say that it failed while it may have been paid.
        """
        if self.status is Status.PAID:
            return []
        if isinstance(answer, Paid):
            return self._paid(answer.reference)
        if claim != self.claim:
            return []
        self.claim, self.reason = None, answer.reason
        self.call_in = policy.delay(self.attempts)
        if isinstance(answer, Unanswered) or not self._given_up(answer, policy):
            return []
        self.status = Status.FAILED
        return self._next(events.PayoutFailed, reason=answer.reason)

    def retry(self) -> None:
        """A person has seen to it: a new episode, at once. Raises PayoutNotFailed."""
        if self.status is not Status.FAILED:
            raise PayoutNotFailed
        self.status, self.reason = Status.PENDING, None
        self.attempts, self.call_in = 0, AT_ONCE
        self.version += 1

    def check_version(self, expected: int | None) -> None:
        """Raises StalePayout when the caller saw another version than the current one."""
        if expected is not None and expected != self.version:
            raise StalePayout

    def _given_up(self, answer: Refused, policy: RetryPolicy) -> bool:
        return answer.for_good or self.attempts >= policy.tries

    def _paid(self, reference: str) -> list[events.PayoutEvent]:
        self.claim, self.reason = None, None
        self.status, self.bank_reference = Status.PAID, reference
        return self._next(events.PayoutCompleted)

    def _next(self, event: type[events.PayoutEvent], **data: Any) -> list[events.PayoutEvent]:
        self.sequence += 1
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
