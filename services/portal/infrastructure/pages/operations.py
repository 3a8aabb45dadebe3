"""Health, outboxes, queues and dead letters, and what may be done about them."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any
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
from libs.messaging.topology import dead_queue
from services.portal.application.record_audit import record_audit
from services.portal.domain.audit import Audit, Result
from services.portal.domain.user import ADMIN, OPERATOR, User
from services.portal.infrastructure.attention_desk import AttentionDesk, WaitingForAPerson
from services.portal.infrastructure.broker import BrokerUnavailable, ManagementApi, QueueState
from services.portal.infrastructure.checks import ACTION as CHECKED
from services.portal.infrastructure.dead_letter_desk import DeadLetterDesk, readable
from services.portal.infrastructure.given_up_desk import GivenUpDesk
from services.portal.infrastructure.i18n import marked
from services.portal.infrastructure.pages.page import page_router
from services.portal.infrastructure.postgres import PortalUnitOfWork
from services.portal.infrastructure.probes import Probes
from services.portal.infrastructure.sessions import require_roles
from services.portal.infrastructure.templating import Flash, redirect, render

Keeper = Annotated[User, require_roles(OPERATOR, ADMIN)]
HERE = "/operations"
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


class OperationsPages:
    """Each public method is one address of `router` below."""

    def __init__(
        self,
        transactions: Transactions[PortalUnitOfWork],
        broker: ManagementApi,
        probes: Probes,
        desk: DeadLetterDesk,
        given_up: GivenUpDesk,
        attention: AttentionDesk,
    ) -> None:
        self._transactions = transactions
        self._broker = broker
        self._probes = probes
        self._desk = desk
        self._given_up = given_up
        self._attention = attention

    async def page(self, request: Request, user: Keeper, queues: str = "") -> Response:
        letters: Sequence[DeadLetter] = []
        trouble = None
        try:
            letters = await self._desk.listed(user.tenant_id)
        except DeadLetterError as error:
            trouble = str(error)
        now = await self._now(all_queues=queues == "all")
        attended = [each.name for each in now["services"] if each.outbox_given_up]
        return render(
            request,
            "operations.html",
            user,
            checked=await self._last_check(user.tenant_id),
            dead=letters,
            dead_trouble=trouble,
            given_up=await self._given_up.listed(user, attended),
            asking=await self._asking(user),
            **now,
        )

    async def live(self, request: Request, user: Keeper, queues: str = "") -> Response:
        now = await self._now(all_queues=queues == "all")
        return render(request, "_operations.html", user, **now)

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

    async def _now(self, *, all_queues: bool) -> dict[str, Any]:
        found: list[QueueState] = []
        trouble = None
        try:
            found = sorted((await self._broker.queues()).values(), key=lambda each: each.name)
        except BrokerUnavailable as unavailable:
            trouble = str(unavailable)
        return {
            "services": await self._probes.states(),
            "queues": [each for each in found if all_queues or _needs_a_look(each)],
            "waiting": sum(each.depth for each in found),
            "all_queues": all_queues,
            "broker_trouble": trouble,
        }

    async def _asking(self, user: User) -> WaitingForAPerson:
        """Only operators may decide about money."""
        return await self._attention.listed(user) if user.may(OPERATOR) else WaitingForAPerson()

    async def _last_check(self, tenant_id: str) -> Audit | None:
        found = await self._transactions.read(
            lambda uow: uow.audits.page(tenant_id, None, 1, action=CHECKED)
        )
        return found[0] if found else None


def _needs_a_look(queue: QueueState) -> bool:
    """It holds something, or nobody listens where somebody should."""
    return queue.depth > 0 or (queue.consumers == 0 and not queue.name.endswith(dead_queue("")))


def router(
    transactions: Transactions[PortalUnitOfWork],
    broker: ManagementApi,
    probes: Probes,
    desk: DeadLetterDesk,
    given_up: GivenUpDesk,
    attention: AttentionDesk,
) -> APIRouter:
    routes = page_router()
    to = OperationsPages(transactions, broker, probes, desk, given_up, attention)
    routes.get(HERE)(to.page)
    routes.get(f"{HERE}/live")(to.live)
    routes.get(ONE)(to.letter)
    routes.post(f"{ONE}/redrive")(to.redrive)
    routes.post(f"{ONE}/reissue")(to.reissue)
    routes.post(f"{ONE}/discard")(to.discard)
    return routes
