"""Somebody hands in work; the same content, while it runs, is the same submission."""

import hashlib
from datetime import datetime
from uuid import UUID

from libs.kernel.ids import IdFactory
from services.portal.application.ports import PortalUnitOfWork
from services.portal.application.record_audit import record_audit
from services.portal.domain.submission import Submission


async def start_submission(
    uow: PortalUnitOfWork,
    *,
    tenant_id: str,
    user_id: UUID,
    kind: str,
    name: str,
    total: int,
    content: bytes,
    new_id: IdFactory,
    now: datetime,
) -> Submission:
    """Running already: that one is answered, and nothing new begins. Once it is finished the same
    content begins anew, because what it was about may have changed since.
    """
    wanted = Submission(new_id(), tenant_id, kind, user_id, name, total, now)
    digest = hashlib.sha256(user_id.bytes + content).digest()
    submission = await uow.submissions.add(wanted, content, digest)
    if submission.id == wanted.id:
        await record_audit(
            uow,
            audit_id=new_id(),
            tenant_id=tenant_id,
            actor=str(user_id),
            action="submission.started",
            target=str(submission.id),
            details={"kind": kind, "rows": total},
            now=now,
        )
    return submission
