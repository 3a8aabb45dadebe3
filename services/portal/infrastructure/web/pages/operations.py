"""Operators see health, outboxes, queues, and what waits for them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request, Response

from libs.kernel.clock import utc_now
from libs.messaging.dead_letters.dead_letters import DeadLetter
from libs.messaging.dead_letters.look import DeadLetterError
from libs.messaging.names import dead_queue
from libs.messaging.view_queues import overflow_queue
from services.portal.application.ports import WantedAudits
from services.portal.application.record_audit import record_audit
from services.portal.domain.audit import Audit
from services.portal.domain.ids import as_id
from services.portal.domain.timeline import Purchase, Sought
from services.portal.domain.user import OPERATOR, User
from services.portal.infrastructure.identity.sessions import Keeper
from services.portal.infrastructure.peers.attention_desk import AttentionDesk, WaitingForAPerson
from services.portal.infrastructure.peers.dead_letter_desk import DeadLetterDesk, grouped
from services.portal.infrastructure.peers.given_up_desk import GivenUpDesk
from services.portal.infrastructure.peers.management import (
    BrokerUnavailable,
    ManagementApi,
    QueueState,
)
from services.portal.infrastructure.peers.probes import Probes
from services.portal.infrastructure.store.backups import last_backup
from services.portal.infrastructure.store.checks import ACTION as CHECKED
from services.portal.infrastructure.store.postgres import PostgresPortalUnitOfWork, Store
from services.portal.infrastructure.store.slow_statements import SlowStatements
from services.portal.infrastructure.web.auditing import act_of
from services.portal.infrastructure.web.pages.page import page_router
from services.portal.infrastructure.web.templating import redirect, render

HERE = "/operations"
OVERFLOW = overflow_queue("")
"""A queue with the overflow of a full queue of views has a name that ends like this."""
CHECKER_ANSWERS = timedelta(minutes=1)
"""An older request for a check waits for a checker that does not run or has much to read."""


class OperationsPages:
    """Each public method is one address of `router` below."""

    def __init__(
        self,
        transactions: Store,
        broker: ManagementApi,
        probes: Probes,
        desk: DeadLetterDesk,
        given_up: GivenUpDesk,
        attention: AttentionDesk,
        statements: SlowStatements,
    ) -> None:
        self._transactions = transactions
        self._broker = broker
        self._probes = probes
        self._desk = desk
        self._given_up = given_up
        self._attention = attention
        self._statements = statements

    async def page(self, request: Request, user: Keeper, queues: str = "") -> Response:
        letters: Sequence[DeadLetter] = []
        trouble = None
        try:
            letters = await self._desk.listed(user.tenant_id)
        except DeadLetterError as error:
            trouble = str(error)
        groups = grouped(letters)
        shown = [letter for group in groups for letter in group.shown]
        now = await self._now(user, all_queues=queues == "all")
        attended = [each.name for each in now["services"] if each.outbox_given_up]
        return render(
            request,
            "pages/operations.html",
            user,
            dead=groups,
            purchases=await purchases_of(self._transactions, user.tenant_id, shown),
            dead_trouble=trouble,
            given_up=await self._given_up.listed(user, attended),
            asking=await self._asking(user),
            statements=await self._statements.listed(),
            **now,
        )

    async def live(self, request: Request, user: Keeper, queues: str = "") -> Response:
        now = await self._now(user, all_queues=queues == "all")
        return render(request, "fragments/operations.html", user, **now)

    async def check(self, user: Keeper) -> Response:
        """Request a check now from the checker, which reads all databases."""

        async def ask(uow: PostgresPortalUnitOfWork) -> None:
            await uow.checks.ask(user.tenant_id)
            await record_audit(
                uow, act=act_of(user), action="invariants.asked", target="all databases"
            )

        await self._transactions.run(ask)
        return redirect(f"{HERE}#invariants")

    async def _now(self, user: User, *, all_queues: bool) -> dict[str, Any]:
        found: list[QueueState] = []
        trouble = None
        try:
            found = sorted((await self._broker.queues()).values(), key=lambda each: each.name)
        except BrokerUnavailable as unavailable:
            trouble = str(unavailable)
        return {
            **await self._checks(user.tenant_id),
            "services": await self._probes.states(),
            "queues": [each for each in found if all_queues or _needs_a_look(each)],
            "waiting": sum(each.depth for each in found if not _is_a_store(each)),
            "incomplete": [
                each.name.removesuffix(OVERFLOW)
                for each in found
                if each.name.endswith(OVERFLOW) and each.depth > 0
            ],
            "all_queues": all_queues,
            "broker_trouble": trouble,
        }

    async def _asking(self, user: User) -> WaitingForAPerson:
        """Return what waits for a decision about money, which only operators may make."""
        return await self._attention.listed(user) if user.may(OPERATOR) else WaitingForAPerson()

    async def _checks(self, tenant_id: str) -> dict[str, Any]:
        """Return the last check of the invariants, the requested one, and the last backup."""

        async def look(
            uow: PostgresPortalUnitOfWork,
        ) -> tuple[list[Audit], datetime | None, Audit | None]:
            found = await uow.audits.page(tenant_id, None, 1, wanted=WantedAudits(action=CHECKED))
            return found, await uow.checks.asked_at(tenant_id), await last_backup(uow)

        found, asked, backed_up = await self._transactions.read(look)
        return {
            "checked": found[0] if found else None,
            "check_asked": asked,
            "check_late": asked is not None and utc_now() - asked > CHECKER_ANSWERS,
            "backed_up": backed_up,
        }


def _needs_a_look(queue: QueueState) -> bool:
    """Return whether the queue holds messages, or lacks a consumer that it should have."""
    return queue.depth > 0 or (queue.consumers == 0 and not _is_a_store(queue))


def _is_a_store(queue: QueueState) -> bool:
    """Return whether the queue holds what was given up or dropped, and so has no consumer."""
    return queue.name.endswith((dead_queue(""), OVERFLOW))


async def purchases_of(
    transactions: Store, tenant_id: str, letters: Sequence[DeadLetter]
) -> dict[str, Purchase]:
    """Return the purchases that the letters are about, by the letters' subject."""
    ids = {known for each in letters if (known := as_id(each.subject)) is not None}
    if not ids:
        return {}
    sought = Sought(among=ids)
    found = await transactions.read(
        lambda uow: uow.timeline.search(tenant_id, sought, None, len(ids))
    )
    return {str(each.id): each for each in found}


def router(
    transactions: Store,
    broker: ManagementApi,
    probes: Probes,
    desk: DeadLetterDesk,
    given_up: GivenUpDesk,
    attention: AttentionDesk,
) -> APIRouter:
    routes = page_router()
    statements = SlowStatements(transactions.engine)
    to = OperationsPages(transactions, broker, probes, desk, given_up, attention, statements)
    routes.get(HERE)(to.page)
    routes.get(f"{HERE}/live")(to.live)
    routes.post(f"{HERE}/check")(to.check)
    return routes
