"""A user has registered as a customer and makes later purchases in that customer's name."""

from uuid import UUID

from services.portal.application.ports import PortalUnitOfWork
from services.portal.domain.errors import CustomerErased


async def link_customer(
    uow: PortalUnitOfWork, *, tenant_id: str, user_id: UUID, customer_id: UUID
) -> None:
    """Link the user to the customer. A user who has this customer already does not change.

    Raises UserNotFound, CustomerErased, CustomerLinked.
    """
    user = await uow.users.lock(tenant_id, user_id)
    if await uow.users.customer_is_erased(customer_id):
        raise CustomerErased
    user.link_customer(customer_id)
    await uow.users.save(user)
