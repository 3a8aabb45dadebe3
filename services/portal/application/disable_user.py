"""An admin disables a user, whose password no longer works and whose sessions end at once."""

from uuid import UUID

from services.portal.application.ports import PortalUnitOfWork
from services.portal.application.record_audit import record_audit
from services.portal.domain.audit import Act
from services.portal.domain.errors import LastAdmin
from services.portal.domain.user import User


async def disable_user(uow: PortalUnitOfWork, *, act: Act, user_id: UUID) -> User:
    """Disable the user. Admins cannot disable themselves, and two cannot disable each other, so
    that one who can sign in always remains. Raises UserNotFound, LastAdmin.
    """
    actor = UUID(act.actor)
    await uow.users.lock_admins(act.tenant)
    if user_id == actor or (await uow.users.get(act.tenant, actor)).is_disabled:
        raise LastAdmin(field="disable")
    user = await uow.users.lock(act.tenant, user_id)
    user.disable()
    await uow.users.save(user)
    await uow.sessions.end_all(user_id)
    await record_audit(uow, act=act, action="user.disabled", target=str(user_id))
    return user
