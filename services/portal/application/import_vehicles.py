"""Puts the vehicles of a file on the market, a few at a time; stops and goes on as it has to."""

from collections.abc import Sequence
from typing import Protocol
from uuid import UUID

from libs.kernel.clock import Clock
from libs.kernel.errors import Invalid, NotFound
from libs.kernel.ids import IdFactory
from services.portal.application.finish_submission import finish_submission
from services.portal.application.note_rows import note_rows
from services.portal.application.ports import PortalUnitOfWork, Transactions
from services.portal.domain.submission import RowError, Submission
from services.portal.domain.user import ADMIN, SELLER, User
from services.portal.domain.vehicle_file import VehicleFile, VehicleRow, read_vehicle_file

KIND = "vehicle-import"
AT_ONCE = 8
"""Rows between two notes of progress. A row sent twice is one vehicle: it has a key of its own."""


class Market(Protocol):
    async def put(self, user: User, rows: Sequence[VehicleRow]) -> list[RowError]:
        """Put these on the market in the user's name; what is wrong with which of them. Raises
        where it cannot be told whether all are through: they are put again then.
        """


class Overtaken(Exception):
    """Another process goes on with this submission."""


async def import_vehicles(
    transactions: Transactions, market: Market, *, clock: Clock, new_id: IdFactory
) -> bool:
    """The next rows of the oldest submission; whether there was anything to do."""
    running = await transactions.run(lambda uow: uow.submissions.running(KIND))
    if not running:
        return False
    submission = running[0]

    async def finish(uow: PortalUnitOfWork, reason: str | None = None) -> Submission:
        return await finish_submission(
            uow,
            tenant_id=submission.tenant_id,
            submission_id=submission.id,
            audit_id=new_id(),
            now=clock(),
            reason=reason,
        )

    try:
        file = read_vehicle_file(
            await transactions.run(lambda uow: uow.submissions.content(submission.id))
        )
        user = await transactions.run(lambda uow: _seller(uow, submission))
    except (Invalid, NotFound) as trouble:
        reason = str(trouble)
        await transactions.run(lambda uow: finish(uow, reason))
        return True
    if submission.done == file.total:
        await transactions.run(finish)
        return True
    rows, errors = _next(file, submission.done)
    if rows:
        errors = await market.put(user, rows)
    await transactions.run(lambda uow: _note(uow, submission, rows, errors))
    return True


def _next(file: VehicleFile, done: int) -> tuple[Sequence[VehicleRow], Sequence[RowError]]:
    """All bad rows count first, at once; then the good ones, in their order."""
    bad = file.total - len(file.rows)
    if done < bad:
        return (), file.errors
    return file.rows[done - bad : done - bad + AT_ONCE], ()


async def _seller(uow: PortalUnitOfWork, submission: Submission) -> User:
    user = await uow.users.get(submission.tenant_id, submission.user_id)
    if not user.may(SELLER, ADMIN):
        raise Invalid("Who sent the file is no seller any more.")
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
