"""An admin enables a disabled user again, who signs in with the old password."""

from uuid import UUID

from services.portal.application.ports import PortalUnitOfWork
from services.portal.application.record_audit import record_audit
from services.portal.domain.audit import Act
from services.portal.domain.user import User


async def enable_user(uow: PortalUnitOfWork, *, act: Act, user_id: UUID) -> User:
    """Enable a disabled user. Another one does not change. Raises UserNotFound, NothingKept."""
    user = await uow.users.lock(act.tenant, user_id)
    if not user.is_disabled:
        return user
    user.enable()
    await uow.users.save(user)
    await record_audit(uow, act=act, action="user.enabled", target=str(user_id))
    return user
