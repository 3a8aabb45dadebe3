from dataclasses import dataclass
from uuid import UUID

from services.payments.application.ports import PaymentsUnitOfWork
from services.payments.domain.payment import Payment


@dataclass(frozen=True)
class ChargeSettlement:
    """A person found out at the gateway that the charge has this reference or, for None, was not
    made. `by` is that person.
    """

    reference: str | None
    note: str
    by: str


async def settle_charge(
    uow: PaymentsUnitOfWork,
    *,
    tenant_id: str,
    payment_id: UUID,
    version: int | None,
    settlement: ChargeSettlement,
) -> Payment:
    """Record by hand whether the gateway has made a charge that it leaves unanswered.

    Raises PaymentNotFound, StalePayment, ChargeNotUnanswered, ChargeInFlight.
    """
    payment = await uow.payments.lock_by_id(tenant_id, payment_id)
    payment.check_version(version)
    uow.publish(
        *payment.settle_charge(
            reference=settlement.reference, note=settlement.note, by=settlement.by
        )
    )
    await uow.payments.save(payment)
    return payment
