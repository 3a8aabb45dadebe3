"""A customer requests a higher credit limit, and an admin finds the request in a list."""

from datetime import datetime
from uuid import UUID

from services.customers.application.ports import CustomersUnitOfWork
from services.customers.domain.customer import Customer


async def ask_for_credit(
    uow: CustomersUnitOfWork,
    *,
    tenant_id: str,
    customer_id: UUID,
    wanted_cents: int,
    now: datetime,
) -> Customer:
    """Record the request. Raises CustomerNotFound, CreditRequestTooLow."""
    customer = await uow.customers.lock(tenant_id, customer_id)
    if events := customer.ask_for_credit(wanted_cents, now):
        uow.publish(*events)
        await uow.customers.save(customer)
    return customer
