"""An admin declines a request for credit, or grants it by changing the limit."""

from datetime import datetime
from uuid import UUID

from services.customers.application.ports import CustomersUnitOfWork
from services.customers.domain.customer import Customer


async def decline_credit(
    uow: CustomersUnitOfWork,
    *,
    tenant_id: str,
    customer_id: UUID,
    expected_version: int,
    now: datetime,
) -> Customer:
    """Decline the request. Raises CustomerNotFound, StaleVersion, NoCreditRequest."""
    customer = await uow.customers.lock(tenant_id, customer_id)
    customer.check_version(expected_version)
    uow.publish(*customer.decline_credit(now))
    await uow.customers.save(customer)
    return customer
