"""Name, e-mail and phone may change. The document identifies the customer and never changes."""

from datetime import datetime
from uuid import UUID

from services.customers.application.ports import CustomersUnitOfWork
from services.customers.domain.customer import Customer


async def edit_customer(
    uow: CustomersUnitOfWork,
    *,
    tenant_id: str,
    customer_id: UUID,
    expected_version: int,
    changes: dict[str, str],
    now: datetime,
) -> Customer:
    """Apply `changes`, which are in normal form. Raises CustomerNotFound, StaleVersion."""
    customer = await uow.customers.lock(tenant_id, customer_id)
    customer.check_version(expected_version)
    if events := customer.edit(changes, now):
        uow.publish(*events)
        await uow.customers.save(customer)
    return customer
