"""A user ends a session: the current one, or one left open elsewhere."""

from uuid import UUID

from services.portal.application.ports import PortalUnitOfWork
from services.portal.application.record_audit import record_audit
from services.portal.domain.audit import Act


async def sign_out(uow: PortalUnitOfWork, *, act: Act, user_id: UUID, session_id: UUID) -> bool:
    """End the session. Returns whether it was one of the user's that had not ended."""
    if not await uow.sessions.end(user_id, session_id):
        return False
    await record_audit(uow, act=act, action="user.signed_out", target=str(session_id))
    return True
