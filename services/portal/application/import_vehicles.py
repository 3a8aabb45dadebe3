"""Imports put the vehicles of files on the market, a few at a time, and can pause and go on."""

import asyncio
from collections.abc import Sequence
from contextlib import suppress
from functools import partial
from typing import Protocol
from uuid import UUID

import structlog

from libs.kernel.clock import Clock
from libs.kernel.errors import NotFound
from libs.kernel.ids import IdFactory
from services.portal.application.finish_submission import finish_submission
from services.portal.application.note_rows import note_rows
from services.portal.application.ports import PortalUnitOfWork, Transactions
from services.portal.domain.audit import Act
from services.portal.domain.errors import SubmissionFinished
from services.portal.domain.submission import RowError, Submission
from services.portal.domain.user import ADMIN, SELLER, User
from services.portal.domain.vehicle_file import (
    FileRefused,
    VehicleFile,
    VehicleRow,
    read_vehicle_file,
)

KIND = "vehicle-import"
AT_ONCE = 8
"""Progress is recorded after this many rows. A row that is sent twice is one vehicle, because its
key is the same.
"""
FILES_KEPT = 8
"""This many parsed files of running imports stay in memory, so that each is read once."""
NO_SELLER, GAVE_UP = "no-seller", "gave-up"
"""For these reasons, beside those of FileRefused, an import fails as a whole."""

log = structlog.get_logger(__name__)


class Market(Protocol):
    async def put(
        self, user: User, submission_id: UUID, rows: Sequence[VehicleRow]
    ) -> list[RowError]:
        """Put these rows on the market in the user's name and return the errors of those refused.
        Raises an error where nobody can tell whether all were put; they are put again then.
        """


class NoSeller(Exception):
    """The user who handed the file in may not sell any more."""


class Overtaken(Exception):
    """Another process has taken over this submission."""


OVERTAKEN = (Overtaken, SubmissionFinished)
"""Another process goes on with this submission, or has finished it."""


class VehicleImports:
    """Submissions take turns. One that cannot go on pauses, longer each time, while the others go
    on. It fails after its last attempt.
    """

    def __init__(
        self, transactions: Transactions, market: Market, *, clock: Clock, new_id: IdFactory
    ) -> None:
        self._transactions = transactions
        self._market = market
        self._clock = clock
        self._new_id = new_id
        self._files: dict[UUID, VehicleFile] = {}

    async def turn(self) -> bool:
        """Put the next rows of the submission whose turn it is. Returns whether there was one."""
        submission = await self._transactions.run(lambda uow: uow.submissions.find_due(KIND))
        if submission is None:
            return False
        with suppress(*OVERTAKEN):
            await self._go_on_or_pause(submission)
        return True

    async def _go_on_or_pause(self, submission: Submission) -> None:
        """Do the next rows, or pause the submission after an error. Raises one of OVERTAKEN."""
        try:
            await self._go_on(submission)
        except OVERTAKEN:
            raise
        except Exception:
            log.warning("import interrupted", submission_id=str(submission.id), exc_info=True)
            await self._interrupted(submission)

    async def _go_on(self, submission: Submission) -> None:
        try:
            file = await self._file(submission)
            user = await self._transactions.run(lambda uow: _seller(uow, submission))
        except FileRefused as refused:
            await self._finish(submission, refused.reason)
            return
        except (NoSeller, NotFound):
            await self._finish(submission, NO_SELLER)
            return
        if submission.done == file.total:
            await self._finish(submission)
            return
        rows, errors = _next(file, submission.done)
        if rows:
            errors = await self._market.put(user, submission.id, rows)
        await self._transactions.run(lambda uow: _note(uow, submission, rows, errors))

    async def _file(self, submission: Submission) -> VehicleFile:
        """Return the file, which is read once, in a thread, because a large one would delay all
        requests.
        """
        file = self._files.pop(submission.id, None)
        if file is None:
            content = await self._transactions.run(
                lambda uow: uow.submissions.content(submission.id)
            )
            file = await asyncio.to_thread(read_vehicle_file, content)
        self._files[submission.id] = file  # the file used longest ago comes first
        if len(self._files) > FILES_KEPT:
            del self._files[next(iter(self._files))]
        return file

    async def _finish(self, submission: Submission, reason: str | None = None) -> None:
        self._files.pop(submission.id, None)
        await self._transactions.run(
            partial(
                finish_submission,
                act=Act(
                    submission.tenant_id, str(submission.user_id), self._new_id(), self._clock()
                ),
                submission_id=submission.id,
                reason=reason,
            )
        )

    async def _interrupted(self, submission: Submission) -> None:
        if not await self._transactions.run(lambda uow: _pause(uow, submission)):
            await self._finish(submission, GAVE_UP)


async def _pause(uow: PortalUnitOfWork, submission: Submission) -> bool:
    """Record the interruption. Returns whether there will be another attempt."""
    now = await uow.submissions.lock(submission.tenant_id, submission.id)
    again = now.interrupted()
    await uow.submissions.save(now)
    return again


def _next(file: VehicleFile, done: int) -> tuple[Sequence[VehicleRow], Sequence[RowError]]:
    """Return all errors of bad rows first, at once, and then the good rows, in their order."""
    if done < file.bad:
        return (), file.errors
    return file.rows[done - file.bad : done - file.bad + AT_ONCE], ()


async def _seller(uow: PortalUnitOfWork, submission: Submission) -> User:
    user = await uow.users.get(submission.tenant_id, submission.user_id)
    if not user.may(SELLER, ADMIN):
        raise NoSeller
    return user


async def _note(
    uow: PortalUnitOfWork,
    submission: Submission,
    rows: Sequence[VehicleRow],
    errors: Sequence[RowError],
) -> UUID:
    now = await uow.submissions.lock(submission.tenant_id, submission.id)
    if now.done != submission.done:
        raise Overtaken
    noted = await note_rows(
        uow,
        tenant_id=submission.tenant_id,
        submission_id=submission.id,
        succeeded=len(rows) - len({error.row for error in errors} & {row.row for row in rows}),
        errors=errors,
    )
    return noted.id
