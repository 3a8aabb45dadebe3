"""An admin disables a user: no password is accepted any more, and every session ends at once."""

from datetime import datetime
from uuid import UUID

from services.portal.application.ports import PortalUnitOfWork
from services.portal.application.record_audit import record_audit
from services.portal.domain.errors import LastAdmin
from services.portal.domain.user import User


async def disable_user(
    uow: PortalUnitOfWork,
    *,
    tenant_id: str,
    user_id: UUID,
    actor: UUID,
    audit_id: UUID,
    now: datetime,
) -> User:
    """Admins cannot disable themselves, and two cannot disable each other, so that one who can sign
    in always remains. Raises UserNotFound, LastAdmin.
    """
    await uow.users.lock_admins(tenant_id)
    if user_id == actor or (await uow.users.get(tenant_id, actor)).is_disabled:
        raise LastAdmin(field="disable")
    user = await uow.users.lock(tenant_id, user_id)
    user.disable()
    await uow.users.save(user)
    await uow.sessions.end_all(user_id)
    await record_audit(
        uow,
        audit_id=audit_id,
        tenant_id=tenant_id,
        actor=str(actor),
        action="user.disabled",
        target=str(user_id),
        now=now,
    )
    return user
