"""The person who handed work in has seen what it would do, and starts it."""

from uuid import UUID

from services.portal.application.ports import PortalUnitOfWork
from services.portal.application.record_audit import record_audit
from services.portal.domain.audit import Act


async def begin_submission(uow: PortalUnitOfWork, *, act: Act, submission_id: UUID) -> None:
    """The actor is who handed it in. Does nothing where the submission has begun already.
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
