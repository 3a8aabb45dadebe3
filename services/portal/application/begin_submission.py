"""The person who handed work in has seen what it would do, and starts it."""

from datetime import datetime
from uuid import UUID

from services.portal.application.ports import PortalUnitOfWork
from services.portal.application.record_audit import record_audit


async def begin_submission(
    uow: PortalUnitOfWork, *, tenant_id: str, submission_id: UUID, audit_id: UUID, now: datetime
) -> None:
    """Does nothing where the submission has begun already. Raises SubmissionNotFound."""
    submission = await uow.submissions.lock(tenant_id, submission_id)
    if not submission.begin():
        return
    await uow.submissions.save(submission)
    await record_audit(
        uow,
        audit_id=audit_id,
        tenant_id=tenant_id,
        actor=str(submission.user_id),
        action="submission.started",
        target=str(submission.id),
        details={"kind": submission.kind, "rows": submission.total},
        now=now,
    )
