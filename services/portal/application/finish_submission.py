"""A submission is finished, or has failed as a whole."""

from datetime import datetime
from uuid import UUID

from services.portal.application.ports import PortalUnitOfWork
from services.portal.application.record_audit import record_audit
from services.portal.domain.audit import Result
from services.portal.domain.submission import Submission


async def finish_submission(
    uow: PortalUnitOfWork,
    *,
    tenant_id: str,
    submission_id: UUID,
    audit_id: UUID,
    now: datetime,
    reason: str | None = None,
) -> Submission:
    """`reason` says why it failed as a whole. Raises SubmissionNotFound, SubmissionFinished."""
    submission = await uow.submissions.lock(tenant_id, submission_id)
    submission.finish(now, reason)
    await uow.submissions.save(submission)
    await record_audit(
        uow,
        audit_id=audit_id,
        tenant_id=tenant_id,
        actor=str(submission.user_id),
        action="submission.finished",
        target=str(submission.id),
        result=Result.FAILED if reason else Result.DONE,
        details={"succeeded": submission.succeeded, "failed": submission.failed},
        now=now,
    )
    return submission
