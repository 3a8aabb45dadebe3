"""A user who has forgotten the password gets a token for setting a new one."""

from datetime import datetime, timedelta
from uuid import UUID

from services.portal.application.ports import PortalUnitOfWork
from services.portal.application.record_audit import record_audit
from services.portal.domain.audit import ANONYMOUS, Act
from services.portal.domain.user import User

LIFETIME = timedelta(hours=1)
AT_MOST = 3
"""A user has at most this number of valid tokens, so that nobody's mailbox is flooded."""


async def request_password_reset(
    uow: PortalUnitOfWork, *, email: str, token: str, audit_id: UUID, now: datetime
) -> User | None:
    """Return the user of the new token, which is sent by mail only. Returns None where no user has
    this e-mail, where an admin has disabled the user, or where three unused tokens exist.
    """
    found = await uow.users.find_by_email(email.strip().lower())
    if found is None:
        return None
    user = await uow.users.lock(found.tenant_id, found.id)
    if user.is_disabled or await uow.resets.count(user.id) >= AT_MOST:
        return None
    await uow.resets.add(user.id, token, LIFETIME)
    await record_audit(
        uow,
        act=Act(user.tenant_id, ANONYMOUS, audit_id, now),
        action="user.password_reset_requested",
        target=str(user.id),
    )
    return user
