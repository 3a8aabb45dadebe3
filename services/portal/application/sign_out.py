"""Ends a session: the current one, or one left open elsewhere."""

from datetime import datetime
from uuid import UUID

from services.portal.application.ports import PortalUnitOfWork
from services.portal.application.record_audit import record_audit


async def sign_out(
    uow: PortalUnitOfWork,
    *,
    tenant_id: str,
    user_id: UUID,
    session_id: UUID,
    audit_id: UUID,
    now: datetime,
) -> bool:
    """Returns whether it was one of the user's. An ended session stays as it is."""
    if not await uow.sessions.end(user_id, session_id):
        return False
    await record_audit(
        uow,
        audit_id=audit_id,
        tenant_id=tenant_id,
        actor=str(user_id),
        action="user.signed_out",
        target=str(session_id),
        now=now,
    )
    return True
