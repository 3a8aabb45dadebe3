"""A customer's personal data is destroyed. The amounts of the credit stay for the books."""

from datetime import datetime
from uuid import UUID

from services.customers.application.ports import CustomersUnitOfWork, ErasureLedger
from services.customers.domain.errors import CustomerHasOpenPurchases


async def erase_customer(
    uow: CustomersUnitOfWork,
    *,
    ledger: ErasureLedger,
    tenant_id: str,
    customer_id: UUID,
    now: datetime,
) -> None:
    """Erase a customer. An erased one does not change. Raises CustomerNotFound,
    CustomerHasOpenPurchases.

    The ledger is written last and before the commit, so that it has every committed erasure.
    """
    customer = await uow.customers.lock_even_erased(tenant_id, customer_id)
    if customer.is_erased:
        return
    # While the row is locked no purchase can take credit. A purchase that waits for the lock is
    # refused afterwards.
    if await uow.reservations.any_open(customer_id):
        raise CustomerHasOpenPurchases
    uow.publish(*customer.erase(now))
    await uow.customers.save(customer)
    await ledger.record(tenant_id, customer_id, now)
