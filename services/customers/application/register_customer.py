"""A new customer gets a record with a checked name, e-mail, phone and document."""

from datetime import datetime
from uuid import UUID

from services.customers.application.ports import CustomersUnitOfWork
from services.customers.domain.credit import Credit
from services.customers.domain.customer import Customer
from services.customers.domain.personal_data import PersonalData


async def register_customer(
    uow: CustomersUnitOfWork,
    *,
    customer_id: UUID,
    tenant_id: str,
    personal: PersonalData,
    credit_limit_cents: int,
    now: datetime,
) -> Customer:
    """Insert the customer. Raises DocumentTaken."""
    credit = Credit(limit_cents=credit_limit_cents)
    customer = Customer(customer_id, tenant_id, personal, credit, created_at=now, updated_at=now)
    uow.publish(*customer.register())
    await uow.customers.add(customer)
    return customer
