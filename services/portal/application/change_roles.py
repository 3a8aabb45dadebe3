"""An admin grants and removes roles, which count from the next request on."""

from collections.abc import Iterable
from uuid import UUID

from services.portal.application.ports import PortalUnitOfWork
from services.portal.application.record_audit import record_audit
from services.portal.domain.audit import Act
from services.portal.domain.errors import LastAdmin
from services.portal.domain.user import ADMIN, User, known_roles


async def change_roles(
    uow: PortalUnitOfWork, *, act: Act, user_id: UUID, roles: Iterable[str]
) -> User:
    """Set the roles. Raises UserNotFound, InvalidUser, LastAdmin."""
    wanted = known_roles(roles)
    admins = await uow.users.lock_admins(act.tenant)
    user = await uow.users.lock(act.tenant, user_id)
    if user.may(ADMIN) and ADMIN not in wanted and admins == 1:
        raise LastAdmin(field="roles")
    if wanted == user.roles:
        return user
    before, user.roles = user.roles, wanted
    await uow.users.save(user)
    await record_audit(
        uow,
        act=act,
        action="user.roles_changed",
        target=str(user_id),
        details={"before": " ".join(sorted(before)), "after": " ".join(sorted(wanted))},
    )
    return user
