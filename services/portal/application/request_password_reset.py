"""Somebody has forgotten a password: the user's token for setting a new one is made."""

from datetime import datetime, timedelta
from uuid import UUID

from services.portal.application.ports import PortalUnitOfWork
from services.portal.application.record_audit import record_audit
from services.portal.domain.user import User

LIFETIME = timedelta(hours=1)
AT_MOST = 3
"""Tokens of one user that are good at a time: nobody's mailbox is flooded."""


async def request_password_reset(
    uow: PortalUnitOfWork, *, email: str, token: str, audit_id: UUID, now: datetime
) -> User | None:
    """Whose token it is now, to be told by mail only. None where nobody signs in with this e-mail,
    where an admin has shut the user out, or where three tokens wait for being used.
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
        audit_id=audit_id,
        tenant_id=user.tenant_id,
        actor="anonymous",
        action="user.password_reset_requested",
        target=str(user.id),
        now=now,
    )
    return user
