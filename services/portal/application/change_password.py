"""A new password ends every other session of the user and every token for replacing it."""

from uuid import UUID

from services.portal.application.ports import PortalUnitOfWork
from services.portal.application.record_audit import record_audit
from services.portal.domain.audit import Act


async def change_password(
    uow: PortalUnitOfWork,
    *,
    act: Act,
    user_id: UUID,
    password_hash: str,
    session_id: UUID | None,
    browser: str = "",
) -> None:
    """Set the password. `session_id` is the session that stays; `browser` is the browser that stays
    known. Raises UserNotFound.

    The caller has verified the old password and checked the new one, outside of any transaction.
    """
    user = await uow.users.lock(act.tenant, user_id)
    user.set_password(password_hash)
    await uow.users.save(user)
    await uow.sessions.end_all(user_id, but=session_id)
    await uow.resets.forget(user_id)
    await uow.places.forget(user_id, but=browser)
    await record_audit(uow, act=act, action="user.password_changed", target=str(user_id))
