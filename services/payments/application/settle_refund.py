from dataclasses import dataclass
from uuid import UUID

from services.payments.application.ports import PaymentsUnitOfWork
from services.payments.domain.payment import Payment


@dataclass(frozen=True)
class Settlement:
    """A person, `by`, paid the money back. `reference` is the bank's."""

    reference: str
    note: str
    by: str


async def settle_refund(
    uow: PaymentsUnitOfWork,
    *,
    tenant_id: str,
    payment_id: UUID,
    version: int | None,
    settlement: Settlement,
) -> Payment:
    """Record that a person paid a failed refund outside the gateway.

    Raises PaymentNotFound, StalePayment, RefundNotFailed, RefundInFlight.
    """
    payment = await uow.payments.lock_by_id(tenant_id, payment_id)
    payment.check_version(version)
    uow.publish(
        *payment.settle_refund(
            reference=settlement.reference, note=settlement.note, by=settlement.by
        )
    )
    await uow.payments.save(payment)
    return payment
