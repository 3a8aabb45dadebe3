"""A new password ends every other session of the user."""

from datetime import datetime
from uuid import UUID

from services.portal.application.ports import PortalUnitOfWork
from services.portal.application.record_audit import record_audit


async def change_password(
    uow: PortalUnitOfWork,
    *,
    tenant_id: str,
    user_id: UUID,
    password_hash: str,
    session_id: UUID | None,
    actor: str,
    audit_id: UUID,
    now: datetime,
) -> None:
    """`session_id`: the one that stays. Raises UserNotFound.

    The old password was verified and the new one checked before, outside of any transaction.
    """
    user = await uow.users.lock(tenant_id, user_id)
    user.password_hash = password_hash
    await uow.users.save(user)
    await uow.sessions.end_all(user_id, but=session_id)
    await record_audit(
        uow,
        audit_id=audit_id,
        tenant_id=tenant_id,
        actor=actor,
        action="user.password_changed",
        target=str(user_id),
        now=now,
    )
