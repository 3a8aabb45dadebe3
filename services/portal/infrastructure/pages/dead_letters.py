"""One dead letter, and what may be done about it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Request, Response

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from libs.messaging.dead_letters.dead_letters import (
    DeadLetter,
    MayBeHandled,
    NoDeadLetter,
    WouldComeBack,
    WouldStrand,
)
from libs.messaging.dead_letters.look import DeadLetterError
from libs.messaging.outbox.unit_of_work import Transactions
from services.portal.application.record_audit import record_audit
from services.portal.domain.audit import Result
from services.portal.domain.user import User
from services.portal.infrastructure.dead_letter_desk import DeadLetterDesk, readable
from services.portal.infrastructure.i18n import marked
from services.portal.infrastructure.pages.operations import HERE, Keeper
from services.portal.infrastructure.pages.page import page_router
from services.portal.infrastructure.postgres import PortalUnitOfWork
from services.portal.infrastructure.templating import Flash, redirect, render

ONE = f"{HERE}/dead-letters/{{service}}"

REDRIVEN = Flash(marked("The message was sent back to its queue."))
REISSUED = Flash(marked("The message was sent back to its queue under a new id."))
DISCARDED = Flash(marked("The message was discarded."))
GONE = Flash(marked("This message is no longer among the dead letters."), "wait")
FAILED = Flash(marked("The broker did not do it. Nothing was changed: try again."), "back")

MOST_TARGET = 100
"""Characters of an id that came with a form, as the audits keep it."""


@dataclass(frozen=True)
class Done:
    """A dead letter that was acted on; `details` go into the audits beside its queue."""

    letter: DeadLetter
    details: Mapping[str, str] = field(default_factory=dict)


class DeadLetterPages:
    """Each public method is one address of `router` below."""

    def __init__(self, transactions: Transactions[PortalUnitOfWork], desk: DeadLetterDesk) -> None:
        self._transactions = transactions
        self._desk = desk

    async def letter(
        self, request: Request, user: Keeper, service: str, message: str = "", warned: str = ""
    ) -> Response:
        try:
            letter = await self._desk.find(user.tenant_id, service, message)
        except DeadLetterError:
            return redirect(HERE, FAILED)
        if letter is None:
            return redirect(HERE, GONE)
        return render(
            request,
            "dead_letter.html",
            user,
            letter=letter,
            body=readable(letter),
            warned=warned,
        )

    async def redrive(
        self, user: Keeper, service: str, message: Annotated[str, Form()] = ""
    ) -> Response:
        async def action() -> Done:
            return Done(await self._desk.redrive(user.tenant_id, service, message))

        return await self._act(user, service, message, "dead_letter.redriven", action, REDRIVEN)

    async def reissue(
        self,
        user: Keeper,
        service: str,
        message: Annotated[str, Form()] = "",
        not_handled: Annotated[str, Form()] = "",
    ) -> Response:
        async def action() -> Done:
            letter, new_id = await self._desk.reissue(
                user.tenant_id, service, message, not_handled=not_handled == "yes"
            )
            return Done(letter, {"new_id": new_id})

        return await self._act(user, service, message, "dead_letter.reissued", action, REISSUED)

    async def discard(
        self,
        user: Keeper,
        service: str,
        message: Annotated[str, Form()] = "",
        stranding: Annotated[str, Form()] = "",
    ) -> Response:
        async def action() -> Done:
            meant = stranding == "yes"
            return Done(await self._desk.discard(user.tenant_id, service, message, stranding=meant))

        return await self._act(user, service, message, "dead_letter.discarded", action, DISCARDED)

    async def _act(
        self,
        user: User,
        service: str,
        message: str,
        name: str,
        action: Callable[[], Awaitable[Done]],
        well: Flash,
    ) -> Response:
        """Do it in one look, note it in the audits, and say what came of it."""
        try:
            done = await action()
        except NoDeadLetter:
            return redirect(HERE, GONE)
        except (WouldStrand, WouldComeBack, MayBeHandled):
            warned = name.removeprefix("dead_letter.")
            place = f"{HERE}/dead-letters/{quote(service)}?message={quote(message)}"
            return redirect(f"{place}&warned={warned}")
        except DeadLetterError:
            details = {"service": service}
            await self._note(user, name, message[:MOST_TARGET], Result.FAILED, details)
            return redirect(HERE, FAILED)
        letter = done.letter
        details = {"queue": letter.queue, "subject": letter.subject, **done.details}
        await self._note(user, name, letter.id, Result.DONE, details)
        return redirect(HERE, well)

    async def _note(
        self, user: User, name: str, target: str, result: Result, details: Mapping[str, str]
    ) -> None:
        await self._transactions.run(
            lambda uow: record_audit(
                uow,
                audit_id=uuid7(),
                tenant_id=user.tenant_id,
                actor=str(user.id),
                action=name,
                target=target,
                result=result,
                details=details,
                now=utc_now(),
            )
        )


def router(transactions: Transactions[PortalUnitOfWork], desk: DeadLetterDesk) -> APIRouter:
    routes, to = page_router(), DeadLetterPages(transactions, desk)
    routes.get(ONE)(to.letter)
    routes.post(f"{ONE}/redrive")(to.redrive)
    routes.post(f"{ONE}/reissue")(to.reissue)
    routes.post(f"{ONE}/discard")(to.discard)
    return routes
