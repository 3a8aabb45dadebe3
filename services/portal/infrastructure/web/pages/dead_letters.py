"""Operators and admins see dead letters and act on them."""

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Form, Request, Response

from libs.messaging.dead_letters.dead_letters import (
    DeadLetter,
    MayBeHandled,
    NoDeadLetter,
    WouldComeBack,
)
from libs.messaging.dead_letters.look import DeadLetterError
from services.portal.domain.audit import Result
from services.portal.domain.user import User
from services.portal.infrastructure.identity.sessions import Keeper
from services.portal.infrastructure.language.i18n import marked
from services.portal.infrastructure.peers.dead_letter_desk import (
    DeadLetterDesk,
    Redriven,
    readable,
    refused_at,
)
from services.portal.infrastructure.store.postgres import Store
from services.portal.infrastructure.web.auditing import Auditing
from services.portal.infrastructure.web.forms import Text
from services.portal.infrastructure.web.pages.operations import HERE, purchases_of
from services.portal.infrastructure.web.pages.page import page_router
from services.portal.infrastructure.web.templating import Flash, redirect, render

ONE = f"{HERE}/dead-letters/{{service}}"

REDRIVEN = Flash(marked("The message was sent back to its queue and has not come back."))
REFUSED_AGAIN = Flash(marked("The message was tried again, and refused again."), "back")
NONE_CHOSEN = Flash(marked("Choose at least one message."), "wait")
SEVERAL = marked("Sent back to their queues: #. Refused again: #. Not sent, as they would be: #.")
REISSUED = Flash(marked("The message was sent back to its queue under a new id."))
DISCARDED = Flash(marked("The message was discarded."))
GONE = Flash(marked("This message is no longer among the dead letters."), "wait")
FAILED = Flash(marked("The broker did not do it. Nothing was changed: try again."), "back")

REDRIVE = "dead_letter.redriven"
MOST_TARGET = 100
"""The audits keep at most this number of characters of an id from a form."""


class NotSure(Exception):
    """The user has to confirm this first."""


@dataclass(frozen=True)
class Done:
    """The action on this dead letter is done. `details` go into the audits, beside its queue."""

    letter: DeadLetter
    details: Mapping[str, str] = field(default_factory=dict)


class DeadLetterPages:
    """Each public method is one address of `router` below."""

    def __init__(self, transactions: Store, desk: DeadLetterDesk) -> None:
        self._transactions = transactions
        self._auditing = Auditing(transactions)
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
        purchases = await purchases_of(self._transactions, user.tenant_id, [letter])
        return render(
            request,
            "pages/dead_letter.html",
            user,
            letter=letter,
            refused_at=refused_at(letter),
            purchase=purchases.get(letter.subject),
            body=readable(letter),
            warned=warned,
        )

    async def redrive(self, user: Keeper, service: str, message: Text = "") -> Response:
        return await self._redrive_one(user, service, message)

    async def redrive_some(
        self,
        user: Keeper,
        letter: Annotated[list[str] | None, Form()] = None,
        one: Text = "",
        every: Text = "",
        service: Text = "",
        queue: Text = "",
        error: Text = "",
    ) -> Response:
        """Redrive one letter of a group (`one`), those chosen (`letter`), or the whole group."""
        if one:
            return await self._redrive_one(user, service, one)
        chosen = frozenset(letter or ())
        if not chosen and not every:
            return redirect(HERE, NONE_CHOSEN)

        def fits(each: DeadLetter) -> bool:
            alike = each.queue == queue and _one_line(each.error) == _one_line(error)
            return alike and (bool(every) or each.id in chosen)

        try:
            done = await self._desk.redrive(user.tenant_id, service, fits)
        except DeadLetterError:
            return redirect(HERE, FAILED)
        await self._note_redriven(user, done)
        if not done.sent and not done.kept:
            return redirect(HERE, GONE)
        numbers = iter((len(done.sent), len(done.back), len(done.kept)))
        text = re.sub("#", lambda _: str(next(numbers)), SEVERAL)
        return redirect(HERE, Flash(text, "back" if done.back else "go"))

    async def _redrive_one(self, user: User, service: str, letter_id: str) -> Response:
        place = f"{HERE}/dead-letters/{quote(service, safe='')}?message={quote(letter_id)}"
        try:
            done = await self._desk.redrive(
                user.tenant_id, service, lambda each: each.id == letter_id
            )
        except DeadLetterError:
            await self._auditing.record(
                user, REDRIVE, letter_id[:MOST_TARGET], Result.FAILED, {"service": service}
            )
            return redirect(HERE, FAILED)
        await self._note_redriven(user, done)
        if done.back:
            return redirect(place, REFUSED_AGAIN)
        if done.kept:
            return redirect(f"{place}&warned=redriven")
        return redirect(HERE, REDRIVEN if done.sent else GONE)

    async def _note_redriven(self, user: User, done: Redriven) -> None:
        back = {each.id for each in done.back}
        for letter in done.sent:
            details = {"queue": letter.queue, "subject": letter.subject}
            if letter.id in back:
                details["came_back"] = "yes"
            await self._auditing.record(user, REDRIVE, letter.id, Result.DONE, details)

    async def reissue(
        self, user: Keeper, service: str, message: Text = "", not_handled: Text = ""
    ) -> Response:
        async def action() -> Done:
            letter, new_id = await self._desk.reissue(
                user.tenant_id, service, message, not_handled=not_handled == "yes"
            )
            return Done(letter, {"new_id": new_id})

        return await self._act(user, service, message, "dead_letter.reissued", action, REISSUED)

    async def discard(
        self, user: Keeper, service: str, message: Text = "", sure: Text = ""
    ) -> Response:
        async def action() -> Done:
            if sure != "yes":
                raise NotSure
            return Done(await self._desk.discard(user.tenant_id, service, message, stranding=True))

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
        """Act after one reading of the queues, record it in the audits, and show the result."""
        try:
            done = await action()
        except NoDeadLetter:
            return redirect(HERE, GONE)
        except (NotSure, WouldComeBack, MayBeHandled):
            warned = name.removeprefix("dead_letter.")
            place = f"{HERE}/dead-letters/{quote(service)}?message={quote(message)}"
            return redirect(f"{place}&warned={warned}")
        except DeadLetterError:
            details = {"service": service}
            await self._auditing.record(user, name, message[:MOST_TARGET], Result.FAILED, details)
            return redirect(HERE, FAILED)
        letter = done.letter
        details = {"queue": letter.queue, "subject": letter.subject, **done.details}
        await self._auditing.record(user, name, letter.id, Result.DONE, details)
        return redirect(HERE, well)


def _one_line(error: str) -> str:
    """Join the lines, because browsers send line ends of their own kind."""
    return " ".join(error.split())


def router(transactions: Store, desk: DeadLetterDesk) -> APIRouter:
    routes, to = page_router(), DeadLetterPages(transactions, desk)
    routes.get(ONE)(to.letter)
    routes.post(f"{HERE}/dead-letters/redrive")(to.redrive_some)
    routes.post(f"{ONE}/redrive")(to.redrive)
    routes.post(f"{ONE}/reissue")(to.reissue)
    routes.post(f"{ONE}/discard")(to.discard)
    return routes
