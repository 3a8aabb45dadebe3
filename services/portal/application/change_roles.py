"""An admin grants and removes roles; they count from the next request on."""

from collections.abc import Iterable
from datetime import datetime
from uuid import UUID

from services.portal.application.ports import PortalUnitOfWork
from services.portal.application.record_audit import record_audit
from services.portal.domain.errors import LastAdmin
from services.portal.domain.user import ADMIN, User, known_roles


async def change_roles(
    uow: PortalUnitOfWork,
    *,
    tenant_id: str,
    user_id: UUID,
    roles: Iterable[str],
    actor: str,
    audit_id: UUID,
    now: datetime,
) -> User:
    """Raises UserNotFound, InvalidUser, LastAdmin."""
    wanted = known_roles(roles)
    admins = await uow.users.lock_admins(tenant_id)
    user = await uow.users.lock(tenant_id, user_id)
    if user.may(ADMIN) and ADMIN not in wanted and admins == 1:
        raise LastAdmin(field="roles")
    if wanted == user.roles:
        return user
    before, user.roles = user.roles, wanted
    await uow.users.save(user)
    await record_audit(
        uow,
        audit_id=audit_id,
        tenant_id=tenant_id,
        actor=actor,
        action="user.roles_changed",
        target=str(user_id),
        details={"before": " ".join(sorted(before)), "after": " ".join(sorted(wanted))},
        now=now,
    )
    return user
