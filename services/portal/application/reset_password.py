"""The holder of a mailed token replaces a forgotten password. A token works once."""

from datetime import datetime
from uuid import UUID

from services.portal.application.ports import PortalUnitOfWork
from services.portal.application.record_audit import record_audit
from services.portal.domain.audit import Act
from services.portal.domain.errors import ResetRefused


async def reset_password(
    uow: PortalUnitOfWork, *, token: str, password_hash: str, audit_id: UUID, now: datetime
) -> None:
    """Set the password, end every session of the user, and delete the user's known places and
    failed attempts.

    The caller has checked and hashed the password, outside of any transaction. Raises ResetRefused.
    """
    holder = await uow.resets.find_user(token)
    if holder is None:
        raise ResetRefused
    user = await uow.users.lock(holder.tenant_id, holder.id)
    if user.is_disabled or not await uow.resets.use(token):
        raise ResetRefused
    user.set_password(password_hash)
    await uow.users.save(user)
    await uow.sessions.end_all(user.id)
    await uow.resets.forget(user.id)
    await uow.places.forget(user.id)
    await uow.attempts.forget_account(user.email)
    await record_audit(
        uow,
        act=Act(user.tenant_id, str(user.id), audit_id, now),
        action="user.password_reset",
        target=str(user.id),
    )
