"""Health, outboxes, queues and dead letters, and what may be done about them."""

from collections.abc import Awaitable, Sequence
from typing import Annotated, Any
from urllib.parse import quote

from fastapi import APIRouter, Form, Request, Response

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from libs.messaging.dead_letters.dead_letters import DeadLetter, DeadLetterError, WouldStrand
from libs.messaging.outbox.unit_of_work import Transactions
from services.portal.application.record_audit import record_audit
from services.portal.domain.audit import Audit, Result
from services.portal.domain.user import ADMIN, OPERATOR, User
from services.portal.infrastructure.broker import BrokerUnavailable, ManagementApi, QueueState
from services.portal.infrastructure.checks import ACTION as CHECKED
from services.portal.infrastructure.dead_letter_desk import DeadLetterDesk, Letter, readable
from services.portal.infrastructure.i18n import marked
from services.portal.infrastructure.pages.page import page_router
from services.portal.infrastructure.postgres import PortalUnitOfWork
from services.portal.infrastructure.probes import Probes
from services.portal.infrastructure.sessions import require_roles
from services.portal.infrastructure.templating import Flash, redirect, render

Keeper = Annotated[User, require_roles(OPERATOR, ADMIN)]
HERE = "/operations"
ONE = f"{HERE}/dead-letters/{{service}}"

REDRIVEN = Flash(marked("It is back in the queue it came from."))
DISCARDED = Flash(marked("It is gone for good."))
GONE = Flash(marked("This message is no longer among the dead letters."), "wait")
FAILED = Flash(marked("The broker did not do it. Nothing was changed: try again."), "back")


class OperationsPages:
    """Each public method is one address of `router` below."""

    def __init__(
        self,
        transactions: Transactions[PortalUnitOfWork],
        broker: ManagementApi,
        probes: Probes,
        desk: DeadLetterDesk,
    ) -> None:
        self._transactions = transactions
        self._broker = broker
        self._probes = probes
        self._desk = desk

    async def page(self, request: Request, user: Keeper, queues: str = "") -> Response:
        letters: Sequence[Letter] = []
        trouble = None
        try:
            letters = await self._desk.listed(user.tenant_id)
        except DeadLetterError as error:
            trouble = str(error)
        return render(
            request,
            "operations.html",
            user,
            checked=await self._last_check(user.tenant_id),
            dead=letters,
            dead_trouble=trouble,
            **await self._now(all_queues=queues == "all"),
        )

    async def live(self, request: Request, user: Keeper, queues: str = "") -> Response:
        now = await self._now(all_queues=queues == "all")
        return render(request, "_operations.html", user, **now)

    async def letter(
        self, request: Request, user: Keeper, service: str, message: str = "", warned: str = ""
    ) -> Response:
        letter = await self._find(user, service, message)
        if isinstance(letter, Flash):
            return redirect(HERE, letter)
        return render(
            request,
            "dead_letter.html",
            user,
            letter=letter,
            body=readable(letter),
            warned=bool(warned),
        )

    async def redrive(
        self, user: Keeper, service: str, message: Annotated[str, Form()] = ""
    ) -> Response:
        letter = await self._find(user, service, message)
        if isinstance(letter, Flash):
            return redirect(HERE, letter)
        action = self._desk.redrive(service, message)
        done = await self._audited(user, "dead_letter.redriven", letter, action)
        return redirect(HERE, REDRIVEN if done else FAILED)

    async def discard(
        self,
        user: Keeper,
        service: str,
        message: Annotated[str, Form()] = "",
        stranding: Annotated[str, Form()] = "",
    ) -> Response:
        letter = await self._find(user, service, message)
        if isinstance(letter, Flash):
            return redirect(HERE, letter)
        action = self._desk.discard(service, message, stranding=stranding == "yes")
        try:
            done = await self._audited(user, "dead_letter.discarded", letter, action)
        except WouldStrand:
            return redirect(f"{HERE}/dead-letters/{service}?message={quote(message)}&warned=1")
        return redirect(HERE, DISCARDED if done else FAILED)

    async def _find(self, user: User, service: str, message: str) -> DeadLetter | Flash:
        """The letter, or why there is none to show."""
        try:
            return await self._desk.find(user.tenant_id, service, message) or GONE
        except DeadLetterError:
            return FAILED

    async def _audited(
        self, user: User, name: str, letter: DeadLetter, action: Awaitable[None]
    ) -> bool:
        """Whether it was done. Either way it stands in the audits afterwards."""
        result = Result.DONE
        try:
            await action
        except WouldStrand:
            raise
        except DeadLetterError:
            result = Result.FAILED
        await self._transactions.run(
            lambda uow: record_audit(
                uow,
                audit_id=uuid7(),
                tenant_id=user.tenant_id,
                actor=str(user.id),
                action=name,
                target=letter.id,
                result=result,
                details={"queue": letter.queue, "subject": letter.subject},
                now=utc_now(),
            )
        )
        return result is Result.DONE

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

    async def _last_check(self, tenant_id: str) -> Audit | None:
        found = await self._transactions.read(
            lambda uow: uow.audits.page(tenant_id, None, 1, action=CHECKED)
        )
        return found[0] if found else None


def _needs_a_look(queue: QueueState) -> bool:
    """It holds something, or nobody listens where somebody should."""
    return queue.depth > 0 or (queue.consumers == 0 and not queue.name.endswith(".dead"))


def router(
    transactions: Transactions[PortalUnitOfWork],
    broker: ManagementApi,
    probes: Probes,
    desk: DeadLetterDesk,
) -> APIRouter:
    routes = page_router()
    to = OperationsPages(transactions, broker, probes, desk)
    routes.get(HERE)(to.page)
    routes.get(f"{HERE}/live")(to.live)
    routes.get(ONE)(to.letter)
    routes.post(f"{ONE}/redrive")(to.redrive)
    routes.post(f"{ONE}/discard")(to.discard)
    return routes
