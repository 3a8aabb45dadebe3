"""Each endpoint parses, runs one use case and answers. `README.md` says who may call what."""

from typing import Annotated

from fastapi import APIRouter, Path, Query, Request, Response

from libs.messaging.outbox.unit_of_work import Transactions
from libs.runtime.auth import Caller, CallerDep, caller_with
from libs.runtime.concurrency import IfMatchDep
from libs.runtime.declared import ETAG, LOCATION, answers
from libs.runtime.idempotency import Answer, Idempotency, IdempotentCallDep, respond
from libs.runtime.pagination import PageDep
from libs.runtime.routes import api_router
from services.kpis.application.kpi_service import KpiService
from services.kpis.application.ports import Evaluator
from services.kpis.domain.kpi import KPI
from services.kpis.infrastructure import access
from services.kpis.infrastructure.postgres import PostgresKpisUnitOfWork
from services.kpis.infrastructure.published_views import VIEWS
from services.kpis.infrastructure.schemas import (
    ActiveKpis,
    KpiChanges,
    KpiIn,
    KpiOut,
    KpiPage,
    TrialIn,
    TrialOut,
    ValueOut,
    ViewList,
    ViewOut,
)
from services.kpis.infrastructure.tables import IDEMPOTENCY

Admin = Annotated[Caller, caller_with(access.ADMIN)]
KpiId = Annotated[str, Path(max_length=64)]
Month = Annotated[str | None, Query(pattern=r"^[0-9]{4}-(0[1-9]|1[0-2])$", examples=["2026-11"])]


class Endpoints:
    def __init__(
        self,
        transactions: Transactions[PostgresKpisUnitOfWork],
        evaluator: Evaluator,
        time_zone: str,
    ) -> None:
        self._transactions = transactions
        self._time_zone = time_zone
        self._idempotency = Idempotency(transactions, IDEMPOTENCY)
        self._evaluator = evaluator

    @answers(ETAG, LOCATION)
    async def define(self, body: KpiIn, caller: Admin, call: IdempotentCallDep) -> Response:
        """Define a KPI. Its template is checked first, and one that is not safe is not kept."""
        await self._evaluator.check(body.sql_template)
        given = body.model_dump() | {"owner": body.owner or caller.subject}

        async def work(uow: PostgresKpisUnitOfWork) -> Answer:
            kpi = await KpiService(uow.kpis).define_kpi(KPI(**given, tenant_id=caller.tenant_id))
            return Answer(201, _out(kpi), kpi.version, f"/kpis/{kpi.id}")

        return await self._idempotency.run(call, work)

    async def browse(self, request: Request, caller: CallerDep, page: PageDep) -> Response:
        """List shipped KPIs and the tenant's own, active or not, by id."""
        caller.require(access.OPERATOR, access.ADMIN)
        after = page.after[0] if page.after else None
        found = await self._transactions.read(
            lambda uow: uow.kpis.page(caller.tenant_id, after, page.limit + 1)
        )
        shown = [_out(kpi) for kpi in found[: page.limit]]
        more = len(found) > page.limit
        return page.answer(shown, (shown[-1].id,) if more else None, request)

    async def active(self, caller: CallerDep) -> ActiveKpis:
        """List all active KPIs: shipped ones and the tenant's own."""
        caller.require(access.OPERATOR, access.ADMIN)
        found = await self._transactions.read(
            lambda uow: KpiService(uow.kpis).get_active_kpis(caller.tenant_id)
        )
        return ActiveKpis(items=[_out(kpi) for kpi in found], time_zone=self._time_zone)

    async def views(self, caller: CallerDep) -> ViewList:
        """List the views and columns that a template may read."""
        caller.require(access.OPERATOR, access.ADMIN)
        return ViewList(items=[ViewOut(name=name, columns=VIEWS[name]) for name in VIEWS])

    async def trial(self, body: TrialIn, caller: CallerDep) -> TrialOut:
        """Compute the template's value now, for the caller's tenant. Nothing is kept."""
        caller.require(access.ADMIN)
        found = await self._evaluator.evaluate(body.sql_template, caller.tenant_id, body.month)
        return TrialOut(columns=found.columns, units=found.units, rows=found.rows)

    @answers(ETAG)
    async def read(self, kpi_id: KpiId, caller: CallerDep) -> Response:
        """Return one KPI as it is defined."""
        caller.require(access.OPERATOR, access.ADMIN)
        kpi = await self._find(caller.tenant_id, kpi_id)
        return respond(Answer(200, _out(kpi), kpi.version))

    @answers(ETAG)
    async def change(
        self, kpi_id: KpiId, body: KpiChanges, caller: Admin, version: IfMatchDep
    ) -> Response:
        """Change a KPI. A shipped one becomes the tenant's own with its first change."""
        if body.sql_template is not None:
            await self._evaluator.check(body.sql_template)
        changes = body.model_dump(exclude_unset=True)
        kpi = await self._transactions.run(
            lambda uow: KpiService(uow.kpis).change_kpi(
                tenant_id=caller.tenant_id,
                kpi_id=kpi_id,
                expected_version=version,
                changes=changes,
            )
        )
        return respond(Answer(200, _out(kpi), kpi.version))

    async def value(self, kpi_id: KpiId, caller: CallerDep, month: Month = None) -> ValueOut:
        """Compute the value for the caller's tenant. `month` is in the business's time zone."""
        caller.require(access.OPERATOR, access.ADMIN)
        kpi = await self._find(caller.tenant_id, kpi_id)
        result = await self._evaluator.evaluate(kpi.sql_template, caller.tenant_id, month)
        cells = result.rows[0] if len(result.rows) == 1 else ()
        return ValueOut(
            id=kpi.id,
            name=kpi.name,
            month=month,
            value=cells[0] if len(cells) == 1 else None,
            columns=result.columns,
            units=result.units,
            rows=result.rows,
        )

    async def _find(self, tenant_id: str, kpi_id: str) -> KPI:
        return await self._transactions.read(
            lambda uow: KpiService(uow.kpis).get_kpi(tenant_id, kpi_id)
        )


def router(
    transactions: Transactions[PostgresKpisUnitOfWork], evaluator: Evaluator, time_zone: str
) -> APIRouter:
    routes, to = api_router(tags=["kpis"]), Endpoints(transactions, evaluator, time_zone)
    routes.post("/kpis", status_code=201, response_model=KpiOut, operation_id="define_kpi")(
        to.define
    )
    routes.get("/kpis", response_model=KpiPage, operation_id="list_kpis")(to.browse)
    routes.post("/kpis/trial", response_model=TrialOut, operation_id="try_template")(to.trial)
    routes.get("/kpis/active", response_model=ActiveKpis, operation_id="list_active_kpis")(
        to.active
    )
    routes.get("/kpis/views", response_model=ViewList, operation_id="list_views")(to.views)
    routes.get("/kpis/{kpi_id}", response_model=KpiOut, operation_id="get_kpi")(to.read)
    routes.patch("/kpis/{kpi_id}", response_model=KpiOut, operation_id="change_kpi")(to.change)
    routes.get("/kpis/{kpi_id}/value", response_model=ValueOut, operation_id="compute_kpi")(
        to.value
    )
    return routes


def _out(kpi: KPI) -> KpiOut:
    return KpiOut.model_validate(kpi, from_attributes=True)
