"""A submission ends when all its rows are done, or when it fails as a whole."""

from uuid import UUID

from services.portal.application.ports import PortalUnitOfWork
from services.portal.application.record_audit import record_audit
from services.portal.domain.audit import Act, Result
from services.portal.domain.submission import Submission


async def finish_submission(
    uow: PortalUnitOfWork, *, act: Act, submission_id: UUID, reason: str | None = None
) -> Submission:
    """End the submission, which failed if there is a `reason`. Raises SubmissionNotFound,
    SubmissionFinished.
    """
    submission = await uow.submissions.lock(act.tenant, submission_id)
    submission.finish(act.at, reason)
    await uow.submissions.save(submission)
    await record_audit(
        uow,
        act=act,
        action="submission.finished",
        target=str(submission.id),
        result=Result.FAILED if reason else Result.DONE,
        details={"succeeded": submission.succeeded, "failed": submission.failed},
    )
    return submission
