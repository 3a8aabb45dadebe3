"""When a customer is erased, the users who sign in as that customer are erased too."""

from datetime import datetime
from uuid import UUID

from libs.kernel.ids import IdFactory
from services.portal.application.ports import PortalUnitOfWork
from services.portal.application.record_audit import record_audit
from services.portal.domain.audit import Act


async def erase_user(
    uow: PortalUnitOfWork, *, tenant_id: str, customer_id: UUID, new_id: IdFactory, now: datetime
) -> None:
    """Erase the users of the customer. An erasure without users is remembered too, so that no user
    can be linked to that customer later.
    """
    for user_id in await uow.users.erase_customer(tenant_id, customer_id):
        await record_audit(
            uow,
            act=Act(tenant_id, "portal", new_id(), now),
            action="user.erased",
            target=str(user_id),
        )
