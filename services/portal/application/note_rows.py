"""A submission's progress is the number of rows done, and why some of them failed."""

from collections.abc import Sequence
from uuid import UUID

from services.portal.application.ports import PortalUnitOfWork
from services.portal.domain.submission import RowError, Submission


async def note_rows(
    uow: PortalUnitOfWork,
    *,
    tenant_id: str,
    submission_id: UUID,
    succeeded: int,
    errors: Sequence[RowError] = (),
) -> Submission:
    """Record more rows. Raises SubmissionNotFound, SubmissionFinished."""
    submission = await uow.submissions.lock(tenant_id, submission_id)
    submission.note_rows(succeeded, errors)
    await uow.submissions.save(submission)
    return submission
