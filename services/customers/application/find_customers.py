"""Customers are found by a document or an e-mail, in the spelling that people use."""

from collections.abc import Sequence

from services.customers.application.ports import CustomersUnitOfWork
from services.customers.domain.customer import Customer
from services.customers.domain.personal_data import normal_document, normal_email


async def find_customers(
    uow: CustomersUnitOfWork, *, tenant_id: str, document: str | None, email: str | None
) -> Sequence[Customer]:
    """Return those with the document or the e-mail, of which one is None.

    Raises InvalidPersonalData when the value is malformed.
    """
    if document is not None:
        return await uow.customers.find_by_document(tenant_id, normal_document(document))
    return await uow.customers.find_by_email(tenant_id, normal_email(email or ""))
