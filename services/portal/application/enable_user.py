"""An admin enables a disabled user again, with the password from before."""

from datetime import datetime
from uuid import UUID

from services.portal.application.ports import PortalUnitOfWork
from services.portal.application.record_audit import record_audit
from services.portal.domain.user import User


async def enable_user(
    uow: PortalUnitOfWork,
    *,
    tenant_id: str,
    user_id: UUID,
    actor: str,
    audit_id: UUID,
    now: datetime,
) -> User:
    """Does nothing for a user who is not disabled. Raises UserNotFound, NothingKept."""
    user = await uow.users.lock(tenant_id, user_id)
    if not user.is_disabled:
        return user
    user.enable()
    await uow.users.save(user)
    await record_audit(
        uow,
        audit_id=audit_id,
        tenant_id=tenant_id,
        actor=actor,
        action="user.enabled",
        target=str(user_id),
        now=now,
    )
    return user
