"""A user has one customer record, however often the user sends it, also with corrections."""

from datetime import datetime
from uuid import UUID

from services.customers.application.ports import CustomersUnitOfWork
from services.customers.domain.credit import Credit
from services.customers.domain.customer import Customer
from services.customers.domain.personal_data import PersonalData


async def register_user(
    uow: CustomersUnitOfWork,
    *,
    customer_id: UUID,
    tenant_id: str,
    user_id: UUID,
    personal: PersonalData,
    starting_limit_cents: int,
    now: datetime,
) -> Customer:
    """Return the user's record, new or corrected. `customer_id` and `starting_limit_cents` apply to
    a new one. A record is found by its user and never by the document, so that nobody gets the
    record of another person by knowing its document number.

    Raises DocumentTaken, RegisteredWithAnotherDocument.
    """
    known = await uow.customers.find_locked_of_user(tenant_id, user_id)
    if known is not None:
        if events := known.register_again(personal, now):
            uow.publish(*events)
            await uow.customers.save(known)
        return known
    customer = Customer(
        customer_id,
        tenant_id,
        personal,
        Credit(starting_limit_cents),
        created_at=now,
        updated_at=now,
        user_id=user_id,
    )
    uow.publish(*customer.register())
    await uow.customers.add(customer)
    return customer
