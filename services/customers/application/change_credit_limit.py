"""The credit limit may rise to any amount, and fall to what is in use."""

from datetime import datetime
from uuid import UUID

from services.customers.application.ports import CustomersUnitOfWork
from services.customers.domain.customer import Customer


async def change_credit_limit(
    uow: CustomersUnitOfWork,
    *,
    tenant_id: str,
    customer_id: UUID,
    expected_version: int,
    limit_cents: int,
    now: datetime,
) -> Customer:
    """Change the limit. Raises CustomerNotFound, StaleVersion, CreditLimitBelowUse."""
    customer = await uow.customers.lock(tenant_id, customer_id)
    customer.check_version(expected_version)
    if events := customer.change_limit(limit_cents, now):
        uow.publish(*events)
        await uow.customers.save(customer)
    return customer
