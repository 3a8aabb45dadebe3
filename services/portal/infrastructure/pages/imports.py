"""Files of vehicles: handed in, followed while they go through, and what was wrong with them."""

import asyncio
from collections.abc import Awaitable, Callable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, File, Request, Response, UploadFile

from libs.kernel.clock import utc_now
from libs.kernel.errors import Invalid
from libs.kernel.ids import uuid7
from libs.messaging.outbox.unit_of_work import Transactions
from services.portal.application.import_vehicles import KIND
from services.portal.application.start_submission import start_submission
from services.portal.domain.errors import SubmissionNotFound
from services.portal.domain.submission import Submission, SubmissionStatus
from services.portal.domain.user import ADMIN, OPERATOR, SELLER, User
from services.portal.domain.vehicle_file import MAX_BYTES, MAX_ROWS, REQUIRED, read_vehicle_file
from services.portal.infrastructure.i18n import marked
from services.portal.infrastructure.pages.page import page_router
from services.portal.infrastructure.postgres import PortalUnitOfWork
from services.portal.infrastructure.sessions import require_roles
from services.portal.infrastructure.templating import redirect, render

Seller = Annotated[User, require_roles(SELLER, ADMIN)]
Reader = Annotated[User, require_roles(SELLER, OPERATOR, ADMIN)]
HERE = "/imports"
SHOWN = 20
LONGEST_NAME = 120

NO_FILE = marked("Choose a file first.")


class ImportPages:
    """`begun` wakes the worker; `answers` tells whether the service behind the imports does."""

    def __init__(
        self,
        transactions: Transactions[PortalUnitOfWork],
        begun: Callable[[], None],
        answers: Callable[[], Awaitable[bool]],
    ) -> None:
        self._transactions = transactions
        self._begun = begun
        self._answers = answers

    async def page(self, request: Request, user: Seller) -> Response:
        return await self._form(request, user)

    async def hand_in(
        self,
        request: Request,
        user: Seller,
        file: Annotated[UploadFile | None, File()] = None,
    ) -> Response:
        if file is None or not file.filename:
            return await self._form(request, user, error=NO_FILE)
        content = await file.read(MAX_BYTES + 1)
        try:
            total = (await asyncio.to_thread(read_vehicle_file, content)).total
        except Invalid as refusal:
            return await self._form(request, user, error=str(refusal))
        name = "".join(char for char in file.filename if char.isprintable())[:LONGEST_NAME]
        submission = await self._transactions.run(
            lambda uow: start_submission(
                uow,
                tenant_id=user.tenant_id,
                user_id=user.id,
                kind=KIND,
                name=name,
                total=total,
                content=content,
                new_id=uuid7,
                now=utc_now(),
            )
        )
        self._begun()
        return redirect(f"{HERE}/{submission.id}")

    async def one(self, request: Request, user: Reader, submission_id: UUID) -> Response:
        return await self._show(request, user, submission_id, "import.html")

    async def progress(self, request: Request, user: Reader, submission_id: UUID) -> Response:
        return await self._show(request, user, submission_id, "_import.html")

    async def _form(self, request: Request, user: User, *, error: str = "") -> Response:
        recent = await self._transactions.read(
            lambda uow: uow.submissions.page(user.tenant_id, None, SHOWN, user.id)
        )
        return render(
            request,
            "imports.html",
            user,
            status=422 if error else 200,
            submissions=recent,
            error=error,
            columns=REQUIRED,
            most_rows=MAX_ROWS,
        )

    async def _show(
        self, request: Request, user: User, submission_id: UUID, template: str
    ) -> Response:
        submission = await self._transactions.read(lambda uow: _visible(uow, user, submission_id))
        running = submission.status is SubmissionStatus.RUNNING
        return render(
            request,
            template,
            user,
            submission=submission,
            running=running,
            waits_for=["vehicles"] if running and not await self._answers() else [],
        )


async def _visible(uow: PortalUnitOfWork, user: User, submission_id: UUID) -> Submission:
    """A seller's own; those who run the market see all of their tenant's."""
    submission = await uow.submissions.get(user.tenant_id, submission_id)
    if submission.user_id != user.id and not user.may(OPERATOR, ADMIN):
        raise SubmissionNotFound("no such submission")
    return submission


def router(
    transactions: Transactions[PortalUnitOfWork],
    begun: Callable[[], None],
    answers: Callable[[], Awaitable[bool]],
) -> APIRouter:
    routes = page_router()
    to = ImportPages(transactions, begun, answers)
    routes.get(HERE)(to.page)
    routes.post(HERE)(to.hand_in)
    routes.get(f"{HERE}/{{submission_id}}")(to.one)
    routes.get(f"{HERE}/{{submission_id}}/progress")(to.progress)
    return routes
