"""An operator decides about one payment or payout that waits for a person."""

from collections.abc import Awaitable, Mapping
from urllib.parse import quote

from fastapi import APIRouter, Request, Response

from libs.kernel.ids import uuid7
from services.portal.domain.audit import Result
from services.portal.domain.user import User
from services.portal.infrastructure.identity.sessions import Operator
from services.portal.infrastructure.language.i18n import marked
from services.portal.infrastructure.peers.attention_desk import AttentionDesk, Service, Waiting
from services.portal.infrastructure.peers.client import PeerRefusal, PeerUnavailable, Reply
from services.portal.infrastructure.web.auditing import Auditing
from services.portal.infrastructure.web.forms import Text
from services.portal.infrastructure.web.pages.operations import HERE
from services.portal.infrastructure.web.pages.page import page_router
from services.portal.infrastructure.web.templating import Flash, redirect, render

ONE = f"{HERE}/attention/{{service}}/{{identifier}}"

RETRIED = Flash(marked("It is tried again now."))
SETTLED = Flash(marked("It is recorded, and the purchase goes on."))
GONE = Flash(marked("It no longer waits for a person."), "wait")
SILENT = Flash(marked("The service did not answer: check whether it was recorded."), "back")
MOVED_ON = Flash(
    marked("It has changed in the meantime. Nothing was recorded: reload the page."), "wait"
)
IN_FLIGHT = Flash(marked("A call is under way at this moment. Try again in a few seconds."), "wait")
REFUSED = Flash(marked("The service refused it. Nothing was changed."), "back")

MISSING = marked("This is missing.")
NO_OUTCOME = marked("Choose one.")
NO_REFERENCE = marked("Money that has moved has a reference.")
MOST_REFERENCE, MOST_NOTE = 100, 500
"""The services take at most this number of characters."""

MOVED = "moved"
"""This is the choice in the form; the other one is that the money has not moved."""


class AttentionPages:
    """Each public method is one address of `router` below."""

    def __init__(self, auditing: Auditing, desk: AttentionDesk) -> None:
        self._auditing = auditing
        self._desk = desk

    async def page(
        self, request: Request, user: Operator, service: Service, identifier: str
    ) -> Response:
        it = await self._desk.find(user, service, identifier)
        if it is None:
            return redirect(HERE, GONE)
        return _form(request, user, it, {"version": it.version, "key": uuid7().hex}, {})

    async def retry(
        self, user: Operator, service: Service, identifier: str, version: Text = "", key: Text = ""
    ) -> Response:
        it = await self._desk.find(user, service, identifier)
        if it is None or not it.question.retry:
            return redirect(HERE, GONE)
        sending = self._desk.retry(user, it, version, key)
        return await self._act(user, it, "retried", sending, {}, RETRIED)

    async def settle(
        self,
        request: Request,
        user: Operator,
        service: Service,
        identifier: str,
        outcome: Text = "",
        reference: Text = "",
        note: Text = "",
        version: Text = "",
        key: Text = "",
    ) -> Response:
        it = await self._desk.find(user, service, identifier)
        if it is None or not it.question.settle:
            return redirect(HERE, GONE)
        typed = {"outcome": outcome, "reference": reference.strip(), "note": note.strip()}
        errors = _wrong(it, typed)
        if errors:
            return _form(request, user, it, {**typed, "version": version, "key": key}, errors)
        answer = _answer(it, typed)
        sending = self._desk.settle(user, it, answer, version, key)
        return await self._act(user, it, "settled", sending, answer, SETTLED)

    async def _act(
        self,
        user: User,
        it: Waiting,
        done: str,
        sending: Awaitable[Reply],
        details: Mapping[str, str],
        well: Flash,
    ) -> Response:
        """Act, record it in the audits, and show the result."""
        try:
            await sending
        except PeerUnavailable:
            await self._note(user, it, done, Result.FAILED, details)
            return redirect(_place(it), SILENT)
        except PeerRefusal as refusal:
            if refusal.status == 412:
                return redirect(_place(it), MOVED_ON)
            if refusal.code.endswith("-in-flight"):
                return redirect(_place(it), IN_FLIGHT)
            await self._note(user, it, done, Result.FAILED, details)
            return redirect(HERE, REFUSED)
        await self._note(user, it, done, Result.DONE, details)
        return redirect(HERE, well)

    async def _note(
        self, user: User, it: Waiting, done: str, result: Result, details: Mapping[str, str]
    ) -> None:
        known = {"service": it.service, "amount_cents": str(it.amount_cents), **details}
        if it.order_id is not None:
            known["order"] = it.order_id
        await self._auditing.record(user, f"{it.question.kind}.{done}", it.id, result, known)


def router(auditing: Auditing, desk: AttentionDesk) -> APIRouter:
    routes, to = page_router(), AttentionPages(auditing, desk)
    routes.get(ONE)(to.page)
    routes.post(f"{ONE}/retry")(to.retry)
    routes.post(f"{ONE}/settle")(to.settle)
    return routes


def _form(
    request: Request, user: User, it: Waiting, values: Mapping[str, str], errors: Mapping[str, str]
) -> Response:
    return render(
        request,
        "pages/attention.html",
        user,
        status=422 if errors else 200,
        it=it,
        place=_place(it),
        values=values,
        errors=errors,
    )


def _place(it: Waiting) -> str:
    return f"{HERE}/attention/{it.service}/{quote(it.id, safe='')}"


def _wrong(it: Waiting, typed: Mapping[str, str]) -> dict[str, str]:
    """Return what is wrong with the input, by field."""
    errors = {}
    if it.question.outcomes and not typed["outcome"]:
        errors["outcome"] = NO_OUTCOME
    if not typed["note"]:
        errors["note"] = MISSING
    if _has_moved(it, typed) and not typed["reference"]:
        errors["reference"] = NO_REFERENCE
    return errors


def _has_moved(it: Waiting, typed: Mapping[str, str]) -> bool:
    """Return whether the person says that the money has moved. A refund by hand always has."""
    return it.question.outcomes is None or typed["outcome"] == MOVED


def _answer(it: Waiting, typed: Mapping[str, str]) -> dict[str, str]:
    """Return the input in the form that the service accepts."""
    answer = {"note": typed["note"][:MOST_NOTE]}
    moved = _has_moved(it, typed)
    if moved:
        answer["reference"] = typed["reference"][:MOST_REFERENCE]
    if it.question.outcomes is not None:
        answer["outcome"] = it.question.outcomes[0 if moved else 1]
    return answer
