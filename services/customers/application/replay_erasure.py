"""A restored dump brings erased customers back, and the ledger erases them again."""

from datetime import datetime
from uuid import UUID

from services.customers.application.ports import CustomersUnitOfWork
from services.customers.domain.errors import CustomerNotFound


async def replay_erasure(
    uow: CustomersUnitOfWork, *, tenant_id: str, customer_id: UUID, erased_at: datetime
) -> bool:
    """Return True when the customer was there and is now erased. Open purchases do not prevent it,
    because the erasure was decided after them.
    """
    try:
        customer = await uow.customers.lock(tenant_id, customer_id)
    except CustomerNotFound:
        return False
    uow.publish(*customer.erase(erased_at))
    await uow.customers.save(customer)
    return True
