"""Work that somebody handed in to be done in the background, such as a file of vehicles."""

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from services.portal.domain.errors import SubmissionFinished

MAX_ERRORS = 1_000
"""The number of errors stored for one submission; all are counted."""


FIRST_PAUSE, LONGEST_PAUSE = timedelta(seconds=1), timedelta(minutes=1)
MOST_ATTEMPTS = 20
"""Interruptions in a row after which a submission has failed: about a quarter of an hour."""


class SubmissionStatus(StrEnum):
    READY = "READY"
    RUNNING = "RUNNING"
    DONE = "DONE"
    FAILED = "FAILED"


@dataclass(frozen=True)
class RowError:
    """`row` counts as a spreadsheet does: the header is row 1. `field` may be empty; the error is
    then about the whole row. `code` says what is wrong and `parameters` with which values; the text
    is made where it is shown.
    """

    row: int
    field: str
    code: str
    parameters: Mapping[str, str | int] = dataclasses.field(default_factory=dict)


@dataclass
class Submission:
    """`user_id` handed it in. READY: it waits until that person starts it, and nothing is done yet.
    Of `total` rows, `succeeded` and `failed` are done; `errors` say why rows failed. DONE may
    include failed rows; FAILED: it failed as a whole, and `reason` is the code of why. `attempts`
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
        """READY -> RUNNING. Returns False where it has begun already."""
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
        """It could not go on and is tried again after a pause that grows. Returns False after the
        last attempt. Raises SubmissionFinished.
        """
        self._require_running()
        self.attempts += 1
        self.pause = min(LONGEST_PAUSE, FIRST_PAUSE * 2 ** min(self.attempts - 1, 10))
        return self.attempts < MOST_ATTEMPTS

    def finish(self, now: datetime, reason: str | None = None) -> None:
        """`reason` says why it failed as a whole. Raises SubmissionFinished."""
        self._require_running()
        self.status = SubmissionStatus.FAILED if reason else SubmissionStatus.DONE
        self.reason = reason
        self.finished_at = now

    def _require_running(self) -> None:
        if self.status is not SubmissionStatus.RUNNING:
            raise SubmissionFinished
