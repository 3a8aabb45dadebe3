"""Sellers hand in files of vehicles, see how they were read, and follow their processing."""

import asyncio
import csv
import io
from collections.abc import Awaitable, Callable, Sequence
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, File, Form, Request, Response, UploadFile

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from services.portal.application.begin_submission import begin_submission
from services.portal.application.hand_in_submission import hand_in_submission
from services.portal.application.import_vehicles import KIND
from services.portal.domain.audit import Act
from services.portal.domain.errors import SubmissionNotFound
from services.portal.domain.submission import Submission, SubmissionStatus
from services.portal.domain.user import ADMIN, OPERATOR, SELLER, User
from services.portal.domain.vehicle_file import (
    COLUMNS,
    MAX_BYTES,
    MAX_ROWS,
    FileRefused,
    VehicleFile,
    read_vehicle_file,
)
from services.portal.infrastructure.identity.sessions import Seller, require_roles
from services.portal.infrastructure.language.i18n import SOURCE, marked
from services.portal.infrastructure.language.import_words import column_name, file_text
from services.portal.infrastructure.peers.client import PeerUnavailable
from services.portal.infrastructure.peers.vehicle_market import VehicleMarket
from services.portal.infrastructure.store.postgres import PostgresPortalUnitOfWork, Store
from services.portal.infrastructure.web.pages.page import page_router
from services.portal.infrastructure.web.templating import Flash, locale_of, redirect, render

Reader = Annotated[User, require_roles(SELLER, OPERATOR, ADMIN)]
HERE = "/imports"
SHOWN = 20
ROWS_SHOWN = 5
LONGEST_NAME = 120
EXAMPLE = (
    *("Volkswagen", "Gol 1.6", "2022", "prata", "45.900,00"),
    *("ABC1D23", "9BWZZZ377VT004251", "12345678901"),
)
"""The template shows this vehicle. The check digit of its RENAVAM is wrong, so that the example is
never put on the market.
"""

NO_FILE = marked("Choose a file first.")
DISCARDED = Flash(marked("The file was discarded. Nothing was put on the market."), "info")


class ImportPages:
    """`begun` wakes the worker; `answers` says whether the service behind the imports answers."""

    def __init__(
        self,
        transactions: Store,
        market: VehicleMarket,
        begun: Callable[[], None],
        answers: Callable[[], Awaitable[bool]],
    ) -> None:
        self._transactions = transactions
        self._market = market
        self._begun = begun
        self._answers = answers

    async def page(self, request: Request, user: Seller) -> Response:
        return await self._form(request, user)

    async def template(self, request: Request, user: Seller) -> Response:
        """Return the template in the visitor's language, as its spreadsheet programs write CSV."""
        locale = locale_of(request, user)
        written = io.StringIO(newline="")
        writer = csv.writer(written, delimiter="," if locale == SOURCE else ";")
        writer.writerow([column_name(column, locale) for column in COLUMNS])
        writer.writerow(EXAMPLE)
        headers = {
            "Content-Disposition": 'attachment; filename="mercado-veiculo.csv"',
            "Cache-Control": "no-store",
            "X-Content-Type-Options": "nosniff",
        }
        return Response(
            written.getvalue().encode("utf-8-sig"), headers=headers, media_type="text/csv"
        )

    async def hand_in(
        self, request: Request, user: Seller, file: Annotated[UploadFile | None, File()] = None
    ) -> Response:
        if file is None or not file.filename:
            return await self._form(request, user, error=NO_FILE)
        content = await file.read(MAX_BYTES + 1)
        try:
            total = (await asyncio.to_thread(read_vehicle_file, content)).total
        except FileRefused as refused:
            text = file_text(refused, locale_of(request, user))
            return await self._form(request, user, error=text)
        name = "".join(char for char in file.filename if char.isprintable())[:LONGEST_NAME]
        submission = await self._transactions.run(
            lambda uow: hand_in_submission(
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
        return redirect(f"{HERE}/{submission.id}")

    async def one(self, request: Request, user: Reader, submission_id: UUID) -> Response:
        submission = await self._transactions.read(lambda uow: _visible(uow, user, submission_id))
        if submission.status is SubmissionStatus.READY:
            return await self._preview(request, user, submission)
        return await self._progress(request, user, submission, "pages/import.html")

    async def progress(self, request: Request, user: Reader, submission_id: UUID) -> Response:
        submission = await self._transactions.read(lambda uow: _visible(uow, user, submission_id))
        return await self._progress(request, user, submission, "fragments/import.html")

    async def begin(
        self,
        request: Request,
        user: Seller,
        submission_id: UUID,
        prices: Annotated[str, Form(max_length=10)] = "",
    ) -> Response:
        submission = await self._transactions.read(lambda uow: _own(uow, user, submission_id))
        if submission.status is SubmissionStatus.READY:
            file = await self._file(submission)
            if file.implausible and prices != "yes":
                checked, _ = await self._checked(user, submission, file)
                if checked.implausible:
                    return await self._preview(request, user, submission, unanswered=True)
            await self._transactions.run(
                lambda uow: begin_submission(
                    uow,
                    act=Act(user.tenant_id, str(submission.user_id), uuid7(), utc_now()),
                    submission_id=submission_id,
                )
            )
            self._begun()
        return redirect(f"{HERE}/{submission_id}")

    async def discard(self, user: Seller, submission_id: UUID) -> Response:
        async def work(uow: PostgresPortalUnitOfWork) -> None:
            await _own(uow, user, submission_id)
            await uow.submissions.discard(submission_id)

        await self._transactions.run(work)
        return redirect(HERE, DISCARDED)

    async def _form(self, request: Request, user: User, *, error: str = "") -> Response:
        recent = await self._transactions.read(
            lambda uow: uow.submissions.page(user.tenant_id, None, SHOWN, user_id=user.id)
        )
        return render(
            request,
            "pages/imports.html",
            user,
            status=422 if error else 200,
            submissions=recent,
            error=error,
            columns=list(zip(COLUMNS, EXAMPLE, strict=True)),
            most_rows=MAX_ROWS,
        )

    async def _preview(
        self, request: Request, user: User, submission: Submission, *, unanswered: bool = False
    ) -> Response:
        file, down = await self._checked(user, submission, await self._file(submission))
        return render(
            request,
            "pages/import_preview.html",
            user,
            status=422 if unanswered else 200,
            submission=submission,
            file=file,
            # Only their seller may see plates and chassis numbers.
            first_rows=file.rows[:ROWS_SHOWN] if submission.user_id == user.id else [],
            may_begin=submission.user_id == user.id or user.may(ADMIN),
            unanswered=unanswered,
            down=down,
        )

    async def _file(self, submission: Submission) -> VehicleFile:
        """Return the file, read in a thread, because a large file would delay all requests."""
        content = await self._transactions.read(lambda uow: uow.submissions.content(submission.id))
        return await asyncio.to_thread(read_vehicle_file, content)

    async def _checked(
        self, user: User, submission: Submission, file: VehicleFile
    ) -> tuple[VehicleFile, Sequence[str]]:
        """Return the file, with the service's objections among its errors, and the service if it is
        down.
        """
        if submission.user_id != user.id:  # a check is made in the seller's own name
            return file, ()
        try:
            return file.without(await self._market.check(user, file.rows)), ()
        except PeerUnavailable as error:
            return file, [error.service]

    async def _progress(
        self, request: Request, user: User, submission: Submission, template: str
    ) -> Response:
        running = submission.status is SubmissionStatus.RUNNING
        return render(
            request,
            template,
            user,
            submission=submission,
            running=running,
            waits_for=["vehicles"] if running and not await self._answers() else [],
        )


async def _visible(uow: PostgresPortalUnitOfWork, user: User, submission_id: UUID) -> Submission:
    """Return a seller's own submission, or any of the tenant for operators and admins."""
    submission = await uow.submissions.get(user.tenant_id, submission_id)
    if submission.user_id != user.id and not user.may(OPERATOR, ADMIN):
        raise SubmissionNotFound
    return submission


async def _own(uow: PostgresPortalUnitOfWork, user: User, submission_id: UUID) -> Submission:
    """Return the own submission. Raises SubmissionNotFound, also for another seller's one."""
    submission = await uow.submissions.get(user.tenant_id, submission_id)
    if submission.user_id != user.id and not user.may(ADMIN):
        raise SubmissionNotFound
    return submission


def router(
    transactions: Store,
    market: VehicleMarket,
    begun: Callable[[], None],
    answers: Callable[[], Awaitable[bool]],
) -> APIRouter:
    routes = page_router()
    to = ImportPages(transactions, market, begun, answers)
    routes.get(HERE)(to.page)
    routes.post(HERE)(to.hand_in)
    routes.get(f"{HERE}/template")(to.template)
    one = f"{HERE}/{{submission_id}}"
    routes.get(one)(to.one)
    routes.get(f"{one}/progress")(to.progress)
    routes.post(f"{one}/begin")(to.begin)
    routes.post(f"{one}/discard")(to.discard)
    return routes
