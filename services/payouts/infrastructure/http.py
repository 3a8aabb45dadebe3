"""Each endpoint parses, runs one use case and answers. `README.md` says who may call what."""

from collections.abc import Callable
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Path, Query, Request, Response

from libs.kernel.ids import uuid7
from libs.messaging.outbox.unit_of_work import Transactions
from libs.runtime.auth import CallerDep
from libs.runtime.concurrency import OptionalIfMatchDep
from libs.runtime.declared import ETAG, LOCATION, answers
from libs.runtime.idempotency import Answer, Idempotency, IdempotentCallDep, respond
from libs.runtime.pagination import PageDep
from libs.runtime.routes import api_router
from services.payouts.application.request_payout import request_payout
from services.payouts.application.retry_payout import retry_payout
from services.payouts.application.settle_payout import PayoutSettlement, settle_payout
from services.payouts.domain.errors import PayoutNotFound
from services.payouts.domain.payout import Payout, Status
from services.payouts.infrastructure.access import ADMIN, OPERATOR, only_seller
from services.payouts.infrastructure.postgres import PostgresPayoutsUnitOfWork
from services.payouts.infrastructure.schemas import (
    EXTERNAL_ID,
    PayoutOut,
    PayoutPage,
    PayoutRequest,
    PayoutSettlementRequest,
)
from services.payouts.infrastructure.tables import IDEMPOTENCY

NeedsAttention = Annotated[
    bool | None, Query(description="Whether the last event asks for a person")
]
ExternalId = Annotated[str, Path(pattern=EXTERNAL_ID)]


class Endpoints:
    def __init__(
        self,
        transactions: Transactions[PostgresPayoutsUnitOfWork],
        wake_bank: Callable[[], None],
    ) -> None:
        self._transactions = transactions
        self._idempotency = Idempotency(transactions, IDEMPOTENCY)
        self._wake_bank = wake_bank

    @answers(ETAG, LOCATION)
    async def request(
        self, body: PayoutRequest, caller: CallerDep, call: IdempotentCallDep
    ) -> Response:
        """Pay a seller. A second request for an `external_id` pays nothing: it is a `duplicate`."""
        caller.require(ADMIN)
        payout = Payout(payout_id=uuid7(), tenant_id=caller.tenant_id, **dict(body))

        async def work(uow: PostgresPayoutsUnitOfWork) -> Answer:
            stored = await request_payout(uow, payout=payout)
            location = f"/payouts/{stored.external_id}"
            if stored is payout:
                return Answer(201, PayoutOut.of(stored), stored.version, location)
            return Answer(200, PayoutOut.of(stored, duplicate=True), stored.version, location)

        response = await self._idempotency.run(call, work)
        self._wake_bank()
        return response

    @answers(ETAG)
    async def read(self, external_id: ExternalId, caller: CallerDep) -> Response:
        """Return one payout: a seller's own, or any of the tenant for an operator or admin."""
        seller_id = only_seller(caller)
        payout = await self._transactions.read(
            lambda uow: uow.payouts.get(caller.tenant_id, external_id)
        )
        if seller_id not in (None, payout.seller_id):
            raise PayoutNotFound
        return respond(Answer(200, PayoutOut.of(payout), payout.version))

    async def browse(
        self,
        request: Request,
        caller: CallerDep,
        page: PageDep,
        status: Status | None = None,
        needs_attention: NeedsAttention = None,
    ) -> Response:
        """List payouts, newest first: all of the tenant, or a seller's own."""
        seller_id = only_seller(caller)
        after = UUID(page.after[0]) if page.after else None
        found = await self._transactions.read(
            lambda uow: uow.payouts.page(
                caller.tenant_id,
                after,
                page.limit + 1,
                seller_id=seller_id,
                status=status,
                needs_attention=needs_attention,
            )
        )
        shown = [PayoutOut.of(payout) for payout in found[: page.limit]]
        more = len(found) > page.limit
        return page.answer(shown, (shown[-1].payout_id,) if more else None, request)

    @answers(ETAG)
    async def retry(
        self,
        external_id: ExternalId,
        caller: CallerDep,
        version: OptionalIfMatchDep,
        call: IdempotentCallDep,
    ) -> Response:
        """Call the bank for a failed payout again, now."""
        caller.require(OPERATOR)

        async def work(uow: PostgresPayoutsUnitOfWork) -> Answer:
            payout = await retry_payout(
                uow, tenant_id=caller.tenant_id, external_id=external_id, version=version
            )
            return Answer(202, PayoutOut.of(payout), payout.version)

        response = await self._idempotency.run(call, work)
        self._wake_bank()
        return response

    @answers(ETAG)
    async def settle(
        self,
        external_id: ExternalId,
        body: PayoutSettlementRequest,
        caller: CallerDep,
        version: OptionalIfMatchDep,
        call: IdempotentCallDep,
    ) -> Response:
        """Record whether the bank made a payment that it leaves unanswered. Look there before."""
        caller.require(OPERATOR)
        settlement = PayoutSettlement(reference=body.reference, note=body.note, by=caller.subject)

        async def work(uow: PostgresPayoutsUnitOfWork) -> Answer:
            payout = await settle_payout(
                uow,
                tenant_id=caller.tenant_id,
                external_id=external_id,
                version=version,
                settlement=settlement,
            )
            return Answer(200, PayoutOut.of(payout), payout.version)

        return await self._idempotency.run(call, work)


def router(
    transactions: Transactions[PostgresPayoutsUnitOfWork], wake_bank: Callable[[], None]
) -> APIRouter:
    routes, to = api_router(tags=["payouts"]), Endpoints(transactions, wake_bank)
    routes.post(
        "/payouts",
        status_code=201,
        response_model=PayoutOut,
        responses={200: {"model": PayoutOut, "description": "A duplicate: the payout there is"}},
        operation_id="request_payout",
    )(to.request)
    routes.get("/payouts", response_model=PayoutPage, operation_id="list_payouts")(to.browse)
    one = "/payouts/{external_id}"
    routes.get(one, response_model=PayoutOut, operation_id="get_payout")(to.read)
    routes.post(
        f"{one}/retry", status_code=202, response_model=PayoutOut, operation_id="retry_payout"
    )(to.retry)
    routes.post(f"{one}/settle", response_model=PayoutOut, operation_id="settle_payout")(to.settle)
    return routes
