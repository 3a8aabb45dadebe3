"""A customer's personal data is destroyed; the credit's figures stay for the books."""

from datetime import datetime
from uuid import UUID

from services.customers.application.ports import CustomersUnitOfWork, ErasureLedger
from services.customers.domain.errors import CustomerHasOpenPurchases


async def erase_customer(
    uow: CustomersUnitOfWork,
    ledger: ErasureLedger,
    *,
    tenant_id: str,
    customer_id: UUID,
    now: datetime,
) -> None:
    """Erased before: nothing. Raises CustomerNotFound, CustomerHasOpenPurchases.

    The ledger is written last and before the commit: an erasure that commits is always in it.
    """
    customer = await uow.customers.lock_even_erased(tenant_id, customer_id)
    if customer.is_erased:
        return
    # With the row locked no purchase can take credit meanwhile; one that waits is then refused.
    if await uow.reservations.any_open(customer_id):
        raise CustomerHasOpenPurchases
    uow.publish(*customer.erase(now))
    await uow.customers.save(customer)
    await ledger.record(tenant_id, customer_id, now)
