"""The JSON API shows health, submissions, audits, and a purchase's timeline and event stream."""

import asyncio
import time
from collections.abc import AsyncIterable
from typing import Annotated, Any
from uuid import UUID

import structlog
from fastapi import APIRouter, Depends, Header, Query, Request, Response
from fastapi.sse import EventSourceResponse, ServerSentEvent
from pydantic_core import to_json

from libs.runtime.auth import Caller, CallerDep
from libs.runtime.database import ping
from libs.runtime.pagination import PageDep
from libs.runtime.readiness import LATENCY_SECONDS, Readiness
from libs.runtime.routes import api_router
from services.portal.application.ports import WantedAudits
from services.portal.application.verify_audits import verify_audits
from services.portal.domain.errors import PurchaseNotFound, SubmissionNotFound
from services.portal.domain.timeline import Purchase, PurchaseState
from services.portal.infrastructure.identity import access
from services.portal.infrastructure.identity.sessions import sessions_of
from services.portal.infrastructure.identity.viewing import MayView, by_session, by_token, may_read
from services.portal.infrastructure.schemas import (
    AuditOut,
    AuditPage,
    ChainOut,
    DatabaseHealth,
    FinishedOut,
    HealthOut,
    MomentOut,
    SubmissionOut,
    SubmissionPage,
    TimelineOut,
)
from services.portal.infrastructure.store.postgres import Store
from services.portal.infrastructure.web.watch import TimelineWatch

log = structlog.get_logger(__name__)

HEALTH_SECONDS = 2.0
LATENCY_LIMIT_MS = 100.0
"""The database is slow when its mean latency is above this."""
HEARD_WITHIN_SECONDS = 5.0
"""Orders knows a new purchase before the portal does, so its stream waits this long for the first
event.
"""
LookUp = Annotated[str | None, Query(max_length=100)]


class Endpoints:
    def __init__(self, transactions: Store, watch: TimelineWatch) -> None:
        self._transactions = transactions
        self._watch = watch

    async def health(self, request: Request) -> Response:
        """Report whether the database is reachable, and its latency: now, and in the mean of the
        last minutes.
        """
        started, latency = time.perf_counter(), None
        try:
            async with asyncio.timeout(HEALTH_SECONDS):
                await ping(self._transactions.engine)
            latency = time.perf_counter() - started
        except Exception as error:  # any error of the database
            log.warning("database unreachable", error=type(error).__name__)
        readiness: Readiness = request.app.state.readiness
        mean = readiness.latency.mean()
        is_slow = mean is not None and mean * 1000 > LATENCY_LIMIT_MS
        health = HealthOut(
            status="down" if latency is None else "slow" if is_slow else "ok",
            database=DatabaseHealth(
                is_reachable=latency is not None,
                latency_ms=_milliseconds(latency),
                mean_latency_ms=_milliseconds(mean),
                mean_over_seconds=int(LATENCY_SECONDS),
                limit_ms=LATENCY_LIMIT_MS,
            ),
        )
        status = 503 if latency is None else 200
        return Response(to_json(health), status, media_type="application/json")

    async def submissions(self, request: Request, caller: CallerDep, page: PageDep) -> Response:
        """List submissions, newest first: a seller's own, or the tenant's for operator or admin."""
        everybodys = access.may_read_submissions(caller)
        after = None if page.after is None else UUID(page.after[0])
        user_id = None if everybodys else UUID(caller.subject)
        found = await self._transactions.read_behind(
            lambda uow: uow.submissions.page(
                caller.tenant_id, after, page.limit + 1, user_id=user_id
            )
        )
        shown = found[: page.limit]
        next_after = (shown[-1].id,) if len(found) > page.limit else None
        return page.answer([SubmissionOut.of(each) for each in shown], next_after, request)

    async def submission(self, submission_id: UUID, caller: CallerDep) -> SubmissionOut:
        """Return one submission, with the rows that failed and why."""
        everybodys = access.may_read_submissions(caller)
        found = await self._transactions.read(
            lambda uow: uow.submissions.get(caller.tenant_id, submission_id)
        )
        if not everybodys and str(found.user_id) != caller.subject:
            raise SubmissionNotFound
        return SubmissionOut.of(found)

    async def audits(
        self, request: Request, caller: CallerDep, page: PageDep, action: LookUp = None
    ) -> Response:
        """List who did what, when, and with what result, newest first. Operator or admin."""
        access.may_read_audits(caller)
        after = None if page.after is None else int(page.after[0])
        wanted = WantedAudits(action=action or "")
        found = await self._transactions.read_behind(
            lambda uow: uow.audits.page(caller.tenant_id, after, page.limit + 1, wanted=wanted)
        )
        shown = found[: page.limit]
        next_after = (shown[-1].sequence,) if len(found) > page.limit else None
        return page.answer([AuditOut.of(each) for each in shown], next_after, request)

    async def verification(self, caller: CallerDep) -> ChainOut:
        """Check whether every audit of the tenant is as it was written. Operator or admin."""
        access.may_read_audits(caller)
        report = await self._transactions.run(
            lambda uow: verify_audits(uow, tenant_id=caller.tenant_id)
        )
        return ChainOut(checked=report.checked, problem=report.problem)

    async def timeline(self, order_id: UUID, caller: CallerDep) -> TimelineOut:
        """List a purchase's events: a buyer's own, or any of the tenant for operator or admin."""
        found = await self._transactions.read(
            lambda uow: uow.timeline.find(caller.tenant_id, order_id)
        )
        access.may_read_purchase(caller, found.purchase if found else None)
        if found is None:
            raise PurchaseNotFound
        return TimelineOut.of(found)

    async def known(self, order_id: UUID, caller: CallerDep) -> Purchase:
        """Return the purchase of a stream. Raises what `access.may_read_purchase` does."""
        give_up = time.monotonic() + HEARD_WITHIN_SECONDS
        while True:
            found = await self._transactions.read(
                lambda uow: uow.timeline.find_purchase(caller.tenant_id, order_id)
            )
            if (found and found.customer_id) or time.monotonic() > give_up:
                return access.may_read_purchase(caller, found)
            await asyncio.sleep(0.1)

    async def viewing(self, request: Request, caller: Caller, purchase: Purchase) -> MayView:
        """Return the check of who may view it. It reads a token's user again, because the token may
        be minutes old. Raises PurchaseNotFound.
        """
        found = None if caller.until else await sessions_of(request).find(request)
        may_see = may_read(purchase)
        may_view = by_session(found[0].id, may_see) if found else by_token(caller, may_see)
        if not await self._transactions.read(may_view):
            raise PurchaseNotFound
        return may_view

    async def stream(
        self, request: Request, purchase: Purchase, may_view: MayView, last_event_id: str
    ) -> AsyncIterable[ServerSentEvent]:
        known = last_event_id
        after = int(known) if known.isascii() and known.isdigit() and len(known) < 10 else 0
        async for step in self._watch.follow(
            purchase.tenant_id,
            purchase.id,
            after,
            may_view=may_view,
            stopping=request.app.state.stopping,
        ):
            if isinstance(step, PurchaseState):
                yield ServerSentEvent(event="finished", data=FinishedOut(state=step.value))
            elif step is not None:
                yield ServerSentEvent(
                    event="moment", id=str(step.position), data=MomentOut.of(step)
                )


def _milliseconds(seconds: float | None) -> float | None:
    return None if seconds is None else round(seconds * 1000, 3)


def router(transactions: Store, watch: TimelineWatch) -> APIRouter:
    routes, to = api_router(tags=["portal"]), Endpoints(transactions, watch)

    Known = Annotated[Purchase, Depends(to.known)]  # noqa: N806

    async def viewing(request: Request, caller: CallerDep, purchase: Known) -> MayView:
        return await to.viewing(request, caller, purchase)

    async def stream(
        request: Request,
        purchase: Known,
        may_view: Annotated[MayView, Depends(viewing)],
        last_event_id: Annotated[str, Header()] = "",
    ) -> AsyncIterable[ServerSentEvent]:
        """Send each event as it happens (`moment`), from `Last-Event-ID` on, and `finished` at the
        end. The stream ends within seconds of the session, the token or the role that it was opened
        with.
        """
        async for event in to.stream(request, purchase, may_view, last_event_id):
            yield event

    down: dict[int | str, Any] = {
        503: {"model": HealthOut, "description": "The database cannot be reached"}
    }
    routes.get("/api/health", response_model=HealthOut, responses=down, operation_id="get_health")(
        to.health
    )
    routes.get("/api/submissions", response_model=SubmissionPage, operation_id="list_submissions")(
        to.submissions
    )
    routes.get(
        "/api/submissions/{submission_id}",
        response_model=SubmissionOut,
        operation_id="get_submission",
    )(to.submission)
    routes.get("/api/audits", response_model=AuditPage, operation_id="list_audits")(to.audits)
    routes.get("/api/audits/verification", response_model=ChainOut, operation_id="verify_audits")(
        to.verification
    )
    of_purchase = "/api/purchases/{order_id}/timeline"
    routes.get(of_purchase, response_model=TimelineOut, operation_id="get_timeline")(to.timeline)
    routes.get(
        f"{of_purchase}/events", response_class=EventSourceResponse, operation_id="follow_timeline"
    )(stream)
    return routes
