"""A submission is work that a user handed in for the background, such as a file of vehicles."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from services.portal.domain.errors import SubmissionFinished

MAX_ERRORS = 1_000
"""A submission stores this number of errors at most, and counts all."""


FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(minutes=1)
MOST_ATTEMPTS = 20
"""After this many interruptions in a row, about a quarter of an hour, a submission has failed."""


class SubmissionStatus(StrEnum):
    READY = "READY"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"


@dataclass(frozen=True)
class RowError:
    """An error belongs to one row. `row` counts as a spreadsheet does: the header is row 1. `field`
    is empty where the error is about the whole row. `code` says what is wrong and `parameters` with
    which values; the page that shows it makes the text.
    """

    row: int
    field: str
    code: str
    parameters: Mapping[str, str | int] = dataclasses.field(default_factory=dict)


@dataclass
class Submission:
    """`user_id` handed it in and starts it; until then it is READY and nothing is done. Of `total`
    rows, `succeeded` and `failed` are done; `errors` say why rows failed. A DONE one may have
    failed rows. A FAILED one failed as a whole, and `reason` is the code of the cause. `attempts`
    counts the interruptions since the last progress; it goes on after `pause`.
    """

    id: UUID
    tenant_id: str
    kind: str
    user_id: UUID
    name: str
    total: int
    created_at: datetime
    status: SubmissionStatus = SubmissionStatus.READY
    succeeded: int = 0
    failed: int = 0
    errors: list[RowError] = dataclasses.field(default_factory=list)
    reason: str | None = None
    finished_at: datetime | None = None
    attempts: int = 0
    pause: timedelta = timedelta(0)

    @property
    def done(self) -> int:
        return self.succeeded + self.failed

    def begin(self) -> bool:
        """Change READY to RUNNING. Returns False where it has begun already."""
        if self.status is not SubmissionStatus.READY:
            return False
        self.status = SubmissionStatus.RUNNING
        return True

    def note_rows(self, succeeded: int, errors: Sequence[RowError]) -> None:
        """Count more rows as done; those with errors have failed. Raises SubmissionFinished."""
        self._require_running()
        self.errors += errors[: max(0, MAX_ERRORS - self.failed)]
        self.succeeded += succeeded
        self.failed += len({error.row for error in errors})
        self.attempts = 0

    def interrupted(self) -> bool:
        """Record an interruption, after which a growing pause follows. Returns False after the last
        attempt. Raises SubmissionFinished.
        """
        self._require_running()
        self.attempts += 1
        self.pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self.attempts - 1, 10))
        return self.attempts < MOST_ATTEMPTS

    def finish(self, now: datetime, reason: str | None = None) -> None:
        """End the submission. `reason` says why it failed as a whole. Raises SubmissionFinished."""
        self._require_running()
        self.status = SubmissionStatus.FAILED if reason else SubmissionStatus.DONE
        self.reason = reason
        self.finished_at = now

    def _require_running(self) -> None:
        if self.status is not SubmissionStatus.RUNNING:
            raise SubmissionFinished
