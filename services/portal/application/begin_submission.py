"""The user who handed work in has seen what it would do, and starts it."""

from uuid import UUID

from services.portal.application.ports import PortalUnitOfWork
from services.portal.application.record_audit import record_audit
from services.portal.domain.audit import Act


async def begin_submission(uow: PortalUnitOfWork, *, act: Act, submission_id: UUID) -> None:
    """Start the submission in the name of its user. One that has begun already does not change.
    Raises SubmissionNotFound.
    """
    submission = await uow.submissions.lock(act.tenant, submission_id)
    if not submission.begin():
        return
    await uow.submissions.save(submission)
    await record_audit(
        uow,
        act=act,
        action="submission.started",
        target=str(submission.id),
        details={"kind": submission.kind, "rows": submission.total},
    )
