"""Clients buy by `/purchase`, follow by `/saga-states`, and list and cancel by `/purchases`."""

from functools import partial
from typing import Annotated, Any
from uuid import UUID

from fastapi import APIRouter, Query, Request, Response

from libs.kernel.clock import utc_now
from libs.kernel.ids import uuid7
from libs.messaging.outbox.unit_of_work import Transactions
from libs.runtime.auth import CallerDep
from libs.runtime.declared import LOCATION, answers
from libs.runtime.idempotency import Answer, Idempotency, RequiredIdempotentCallDep, respond
from libs.runtime.pagination import PageDep
from libs.runtime.routes import api_router
from services.orders.application.cancel_purchase import cancel_purchase
from services.orders.application.request_purchase import request_purchase
from services.orders.domain.order import Order
from services.orders.domain.states import State
from services.orders.infrastructure import access
from services.orders.infrastructure.postgres import PostgresOrdersUnitOfWork
from services.orders.infrastructure.schemas import (
    PurchaseOut,
    PurchasePage,
    PurchaseRequest,
    SagaState,
)
from services.orders.infrastructure.tables import IDEMPOTENCY


class Endpoints:
    def __init__(self, transactions: Transactions[PostgresOrdersUnitOfWork]) -> None:
        self._transactions = transactions
        self._idempotency = Idempotency(transactions, IDEMPOTENCY)

    @answers(LOCATION)
    async def purchase(
        self, body: PurchaseRequest, caller: CallerDep, call: RequiredIdempotentCallDep
    ) -> Response:
        """Create and confirm an order in one step. Location names the state of its purchase."""
        access.may_order(caller, body.customer_id)

        async def work(uow: PostgresOrdersUnitOfWork) -> Answer:
            order = await request_purchase(
                uow,
                order_id=uuid7(),
                tenant_id=caller.tenant_id,
                customer_id=body.customer_id,
                vehicle_id=body.vehicle_id,
                price_cents=body.total_cents,
                now=utc_now(),
            )
            return _accepted(order)

        return await self._idempotency.run(call, work)

    @answers(LOCATION)
    async def cancel(self, transaction_id: UUID, caller: CallerDep) -> Response:
        """Cancel the purchase, which is possible until the order is closed, even once paid."""
        scope, order_id, now = access.cancellable(caller), transaction_id, utc_now()
        work = partial(cancel_purchase, scope=scope, order_id=order_id, now=now)
        return respond(_accepted(await self._transactions.run(work)))

    async def show(self, transaction_id: UUID, caller: CallerDep) -> Response:
        """Return the state of a purchase with all its events."""
        scope = access.readable(caller)
        found = await self._transactions.read(lambda uow: uow.purchases.get(scope, transaction_id))
        return respond(Answer(200, SagaState.of(found)))

    async def find(
        self,
        request: Request,
        caller: CallerDep,
        page: PageDep,
        customer: Annotated[UUID | None, Query()] = None,
        state: Annotated[State | None, Query()] = None,
        vehicle: Annotated[UUID | None, Query()] = None,
    ) -> Response:
        """List the purchases that the caller may read, newest first."""
        scope = access.readable(caller, customer)
        after = None if page.after is None else UUID(page.after[0])
        found = await self._transactions.read(
            lambda uow: uow.purchases.page(
                scope, after, page.limit + 1, state=state, vehicle_id=vehicle
            )
        )
        purchases = found[: page.limit]
        following = (purchases[-1].order_id,) if len(found) > page.limit else None
        return page.answer([PurchaseOut.of(each) for each in purchases], following, request)


def purchases_router(transactions: Transactions[PostgresOrdersUnitOfWork]) -> APIRouter:
    routes, to = api_router(tags=["purchases"]), Endpoints(transactions)
    accepted: dict[str, Any] = {"status_code": 202, "response_model": PurchaseOut}
    routes.post("/purchase", **accepted, operation_id="buy_vehicle")(to.purchase)
    routes.post("/purchases/{transaction_id}/cancel", **accepted, operation_id="cancel_purchase")(
        to.cancel
    )
    routes.get(
        "/saga-states/{transaction_id}", response_model=SagaState, operation_id="get_saga_state"
    )(to.show)
    routes.get("/purchases", response_model=PurchasePage, operation_id="list_purchases")(to.find)
    return routes


def _accepted(order: Order) -> Answer:
    # Both use cases return an order that has a purchase.
    assert order.purchase is not None  # noqa: S101  # nosec B101
    location = f"/saga-states/{order.id}"
    return Answer(202, PurchaseOut.of(order.purchase), location=location)
